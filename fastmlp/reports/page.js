"use strict";
(function () {
  var data = JSON.parse(document.getElementById("numbers").textContent).threshold;
  var get = function (id) { return document.getElementById("t-" + id); };
  var slider = get("slider"), last = data.thresholds.length - 1;
  var total = data.positives + data.negatives;
  var whole = function (x) { return Math.round(x).toLocaleString("en-US"); };
  var share = function (a, b) { return b ? (100 * a / b).toFixed(1) + "%" : "none"; };
  var number = function (x, digits) {
    return x.toLocaleString("en-US", { maximumSignificantDigits: digits });
  };

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
    var most = Math.max.apply(null, all) || 1;
    var x = function (k) { return (600 * data.thresholds[k]).toFixed(1); };
    var y = function (k) { return (116 - 112 * all[k] / most).toFixed(1); };
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
