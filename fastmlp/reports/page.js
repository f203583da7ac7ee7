"use strict";
var numbers = JSON.parse(document.getElementById("numbers").textContent);
var whole = function (x) { return Math.round(x).toLocaleString("en-US"); };
var number = function (x, digits) {
  if (x && Math.abs(x) < 1e-4) return x.toExponential(digits - 1);
  return x.toLocaleString("en-US", { maximumSignificantDigits: digits });
};
(function () {
  var data = numbers.targets[0].threshold;
  if (!data) return;
  var get = function (id) { return document.getElementById("t-" + id); };
  var slider = get("slider"), last = data.thresholds.length - 1;
  var total = data.positives + data.negatives;
  var share = function (a, b) { return b ? (100 * a / b).toFixed(1) + "%" : "none"; };

  function costs() {
    return ["fp", "fn"].map(function (name) {
      var value = parseFloat(get(name).value);
      return value >= 0 && isFinite(value) ? value : 0;
    });
  }
  function cost(i, each) {
    return data.false_positives[i] * each[0]
      + (data.positives - data.true_positives[i]) * each[1];
  }
  function show() {
    var i = Number(slider.value), each = costs(), all = [];
    var tp = data.true_positives[i], fp = data.false_positives[i];
    var fn = data.positives - tp, tn = data.negatives - fp;
    for (var k = 0; k <= last; k++) all.push(cost(k, each));
    var least = Math.min.apply(null, all), most = Math.max.apply(null, all) || 1;
    // The cost of predicting one class alone may be so high that nothing else could be seen.
    most = Math.min(most, 4 * least || most);
    var x = function (k) { return (600 * data.thresholds[k]).toFixed(1); };
    var y = function (k) {
      return (116 - 112 * (all[k] - least) / (most - least || 1)).toFixed(1);
    };
    get("least").textContent = number(least, 4);
    get("most").textContent = number(most, 4);
    get("value").textContent = data.thresholds[i].toFixed(3);
    slider.setAttribute("aria-valuetext", data.thresholds[i].toFixed(3));
    get("00").textContent = whole(tn);
    get("01").textContent = whole(fp);
    get("10").textContent = whole(fn);
    get("11").textContent = whole(tp);
    get("text").textContent = "At " + data.thresholds[i].toFixed(3) + ": accuracy "
      + share(tp + tn, total) + ", precision " + share(tp, tp + fp) + ", recall "
      + share(tp, data.positives) + "; cost " + number(all[i], 6) + ", "
      + number(all[i] / total, 4) + " a row.";
    get("line").setAttribute("d", all.map(function (_, k) {
      return (k ? "L" : "M") + x(k) + " " + y(k);
    }).join(""));
    get("mark").setAttribute("d", "M" + x(i) + " 0V120");
  }
  slider.addEventListener("input", show);
  get("fp").addEventListener("input", show);
  get("fn").addEventListener("input", show);
  get("own").addEventListener("click", function () { slider.value = data.chosen; show(); });
  get("best").addEventListener("click", function () {
    var each = costs(), best = 0;
    for (var k = 1; k <= last; k++) if (cost(k, each) < cost(best, each)) best = k;
    slider.value = best;
    show();
  });
  document.querySelector("#threshold .controls").hidden = false;
  show();
})();
(function () {
  var data = numbers.path;
  if (!data) return;
  var get = function (id) { return document.getElementById("l-" + id); };
  var slider = get("slider"), last = data.lambdas.length - 1, largest = 0;
  data.norms.forEach(function (row) { largest = Math.max.apply(null, row.concat(largest)); });

  function show() {
    var i = Number(slider.value), value = number(data.lambdas[i], 3);
    get("value").textContent = value;
    slider.setAttribute("aria-valuetext", value);
    var se = data.cv_se[i], digits = se > 0 ? Math.max(0, 1 - Math.floor(Math.log10(se))) : 4;
    var fixed = function (x) {
      return x.toLocaleString("en-US", { minimumFractionDigits: digits,
        maximumFractionDigits: digits });
    };
    get("text").textContent = data.measure + " " + fixed(data.cv_mean[i]) + " \u00b1 "
      + fixed(se) + " held out, " + number(data.train[i], 4) + " in training; "
      + whole(data.n_nonzero[i]) + " nonzero weights, " + whole(data.n_live[i])
      + " live units, " + whole(data.n_inputs[i]) + " inputs in use";
    get("mark").setAttribute("d", "M" + (600 * i / (last || 1)).toFixed(1) + " 0V200");
    data.norms[i].forEach(function (norm, k) {
      get("b" + k).setAttribute("width", (100 * norm / (largest || 1)).toFixed(2));
      get("n" + k).textContent = number(norm, 3);
    });
  }
  slider.addEventListener("input", show);
  [["min", data.index_min], ["1se", data.index_1se], ["own", data.index]].forEach(function (pair) {
    get(pair[0]).addEventListener("click", function () { slider.value = pair[1]; show(); });
  });
  document.querySelector("#path .controls").hidden = false;
})();
