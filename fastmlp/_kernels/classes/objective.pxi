# The objective of training: penalties, loss, metrics, optimizer.

cdef double _penalty_value(penalty_rule pen, view) except? -1:
    cdef double total = 0
    if pen.l1 != 0 or pen.prox != 0:
        total += (pen.l1 + pen.prox) * np.abs(view).sum(dtype=np.float64)
    if pen.l2 != 0:
        total += pen.l2 * np.square(view, dtype=np.float64).sum()
    return total


cdef class _Objective(_Workspace):
    """Penalties, the loss with its metrics, and the optimizer."""

    cdef object _rates
    cdef double _accumulator  # what Adagrad's starts from

    def __dealloc__(self):
        free(self.s.metrics)
        free(self.s.metric_sums)
        free(self.s.record_metrics)

    @property
    def regime(self):
        """The loops that train this network: "tiny" (tiny.h), "shallow" (shallow.h) or "layers"."""
        return "tiny" if self.s.tiny else "shallow" if self.s.shallow else "layers"

    @property
    def smooth(self):
        """Whether the reported cross-entropy is computed from logits, without clip; can be set."""
        return bool(self.s.smooth)

    @smooth.setter
    def smooth(self, bint value):
        self.s.smooth = value

    def set_penalty(self, int i, double l1=0.0, double l2=0.0, double bias_l1=0.0,
                    double bias_l2=0.0, *, bint proximal=False, bint bias_proximal=False,
                    double group=0.0, bint by_input=False):
        """Set layer i's lambdas: l1 * sum|w| + l2 * sum(w**2), and the same for its biases.

        With `proximal` the L1 part is a proximal step instead of a gradient. `group` adds
        group * sum over groups of sqrt(size) * norm, by proximal steps: a group is a unit's
        incoming weights, or with `by_input` an input's outgoing ones.
        """
        cdef Layer* layer = self._layer(i)
        cdef int h
        self._swap_penalty(i, (0 if proximal else l1, l2, 0 if bias_proximal else bias_l1,
                               bias_l2))
        layer.pen.prox = <real>(l1 if proximal else 0)
        layer.pen_b.prox = <real>(bias_l1 if bias_proximal else 0)
        layer.penalised = layer.penalised or layer.pen.prox != 0 or layer.pen_b.prox != 0
        layer.group_lambda, layer.by_input = group, by_input
        memset(layer.norms, 0, 2 * layer.n_norms * sizeof(double))
        layer.penalty_b[0] = 0
        self.s.grouped = False
        for h in range(self.s.n_layers):
            self.s.grouped |= self.s.layers[h].group_lambda != 0

    def freeze(self, int i, bint frozen):
        """Set whether training leaves layer i's weights and biases unchanged."""
        cdef int h
        self._layer(i).frozen = frozen
        self.s.frozen = any([self.s.layers[h].frozen for h in range(self.s.n_layers)])

    def set_dropout(self, int i, double rate):
        """Set the dropout rate of layer i's input."""
        if self._layer(i).dropout != rate:
            self._layer(i).dropout = rate
            self._choose_loops()

    def set_activation(self, int i, name):
        """Set layer i's activation."""
        with self._lock:
            self._layer(i).act = _code(name, ACTIVATIONS, "activation")
            self._activations[i] = name
            self._choose_loops()

    cdef _choose_loops(self):
        """Recompute everything that depends on the kinds of layers, including the work space."""
        cdef int h
        for h in range(self.s.n_layers):
            self.s.layers[h].may_skip = may_skip(&self.s, h)
        self.s.shallow = is_shallow(&self.s)
        self.s.tiny = is_tiny(&self.s) and self.s.loss == LOSS_MSE
        self._release()

    cdef _swap_penalty(self, int i, pen):
        """Set layer i's penalty coefficients and return the previous ones."""
        cdef Layer* layer = self._layer(i)
        # By way of double: Cython takes `real` for float in every conversion from Python.
        cdef double l1 = pen[0], l2 = pen[1], bias_l1 = pen[2], bias_l2 = pen[3]
        had = (<double>layer.pen.l1, <double>layer.pen.l2, <double>layer.pen_b.l1,
               <double>layer.pen_b.l2)
        layer.pen.l1, layer.pen.l2 = <real>l1, <real>l2
        layer.pen_b.l1, layer.pen_b.l2 = <real>bias_l1, <real>bias_l2
        layer.penalised = any(pen) or layer.pen.prox != 0 or layer.pen_b.prox != 0
        return had

    cdef void _measure_groups(self) noexcept:
        """Compute the group norms of the present weights, which Python may have changed."""
        cdef unsigned long long state = denormals_off()
        if self.s.grouped:
            group_team(&self.s, False, 0, 1)
        denormals_restore(state)

    def penalty(self):
        """Return the penalty of the present weights."""
        total = 0.0
        for i in range(self.s.n_layers):
            total += _penalty_value(self.s.layers[i].pen, self.weights(i))
            total += _penalty_value(self.s.layers[i].pen_b, self.bias(i))
            if self.s.layers[i].group_lambda != 0:
                norms = np.sqrt(np.square(self.weights(i), dtype=np.float64).sum(
                    axis=1 if self.s.layers[i].by_input else 0))
                total += (self.s.layers[i].group_lambda * float(norms.sum())
                          * sqrt(<double>group_size(&self.s.layers[i])))
        return total

    # Loss and optimizer

    def configure(self, *, loss, metrics=(), optimizer="adam", double learning_rate=0.001,
                  double momentum=0.0, bint nesterov=False, double beta_1=0.9,
                  double beta_2=0.999, double rho=0.9, double epsilon=1e-7,
                  double weight_decay=0.0, long long initial_step=0,
                  double initial_accumulator=0.1, double huber_delta=1.0, double clip_norm=0.0,
                  double clip_array_norm=0.0, double clip_value=0.0):
        """Set loss, metrics and optimizer, and reset the optimizer."""
        cdef State* s = &self.s
        cdef int i
        s.loss = _code(loss, LOSSES, "loss")
        codes = [_code(name, METRICS, "metric") for name in metrics]
        free(s.metrics)
        free(s.metric_sums)
        free(s.record_metrics)
        s.metrics = <int*>calloc(len(codes) + 1, sizeof(int))
        s.metric_sums = <double*>calloc(len(codes) + 1, sizeof(double))
        s.record_metrics = <double*>calloc(WINDOW * len(codes) + 1, sizeof(double))
        if s.metrics == NULL or s.metric_sums == NULL or s.record_metrics == NULL:
            raise MemoryError("Cannot allocate a network's metrics.")
        s.n_metrics = len(codes)
        for i in range(s.n_metrics):
            s.metrics[i] = codes[i]
        self._accumulator = initial_accumulator
        self.set_rule(optimizer=optimizer, learning_rate=learning_rate, momentum=momentum,
                      nesterov=nesterov, beta_1=beta_1, beta_2=beta_2, rho=rho, epsilon=epsilon,
                      weight_decay=weight_decay, initial_step=initial_step,
                      initial_accumulator=initial_accumulator, huber_delta=huber_delta,
                      clip_norm=clip_norm, clip_array_norm=clip_array_norm,
                      clip_value=clip_value)
        self._release()
        self.reset_optimizer()

    def set_rule(self, *, optimizer="adam", double learning_rate=0.001, double momentum=0.0,
                 bint nesterov=False, double beta_1=0.9, double beta_2=0.999, double rho=0.9,
                 double epsilon=1e-7, double weight_decay=0.0, long long initial_step=0,
                 double initial_accumulator=0.1, double huber_delta=1.0, double clip_norm=0.0,
                 double clip_array_norm=0.0, double clip_value=0.0):
        """Set the optimizer's and Huber's parameters from the next step on; keep the moments."""
        cdef State* s = &self.s
        kind = OPTIMIZERS[_code(optimizer, OPTIMIZERS, "optimizer")]
        if kind == "sgd":
            s.optimizer = OPT_SGD if momentum == 0 else OPT_NESTEROV if nesterov else OPT_MOMENTUM
        else:
            s.optimizer = {"rmsprop": OPT_RMSPROP, "adagrad": OPT_ADAGRAD}.get(kind, OPT_ADAM)
        s.learning_rate = learning_rate
        s.weight_decay = weight_decay if kind == "adamw" else 0
        s.beta_1, s.beta_2 = beta_1, beta_2
        s.corrections_known = 0
        s.tiny = is_tiny(s) and s.loss == LOSS_MSE
        s.rule.beta_1, s.rule.beta_2 = <real>beta_1, <real>beta_2
        s.rule.momentum, s.rule.rho, s.rule.eps = <real>momentum, <real>rho, <real>epsilon
        if s.rule.eps == 0:
            s.rule.eps = <real>1e-30  # padding has moments of zero, and 0 / 0 would not stay there
        # Rounded once: 1 - beta taken from the rounded beta would be off by 1e-5.
        s.rule.rest_1, s.rule.rest_2 = <real>(1 - beta_1), <real>(1 - beta_2)
        s.rule.rest_rho = <real>(1 - rho)
        s.initial_step = initial_step
        s.huber_delta = huber_delta
        s.clip_norm, s.clip_array_norm, s.clip_value = clip_norm, clip_array_norm, clip_value
        if kind == "sgd" and momentum == 0 and self._slots[0] is not None:
            memset(s.slots[0], 0, s.n_params * sizeof(real))    # velocity ends with momentum
        if kind == "adagrad" and initial_accumulator != self._accumulator:
            for i in range(s.n_layers if self._slots[0] is not None else 0):
                for sums in (self.weights_slot(0, i), self.bias_slot(0, i)):
                    np.maximum(sums + (initial_accumulator - self._accumulator), 0, out=sums)
        self._accumulator = initial_accumulator

    def reset_optimizer(self):
        """Forget the optimizer's moments and steps."""
        cdef int slot
        self.s.step = 0
        for slot in range(2):
            if self._slots[slot] is not None:
                memset(self.s.slots[slot], 0, self.s.n_params * sizeof(real))
        if self.s.optimizer == OPT_ADAGRAD:
            for i in range(self.s.n_layers):
                self.weights_slot(0, i)[...] = self._accumulator
                self.bias_slot(0, i)[...] = self._accumulator

    @property
    def step(self):
        """Number of optimizer steps done."""
        return self.s.step

    @step.setter
    def step(self, long long value):
        self.s.step = value

    @property
    def learning_rate(self):
        """Learning rate of the next step."""
        return self.s.learning_rate

    @learning_rate.setter
    def learning_rate(self, double value):
        self.s.learning_rate = value

    def set_rates(self, rates, long long first_step=0):
        """Set the learning rates of steps from `first_step` on; the last one is kept afterwards.

        None goes back to `learning_rate`.
        """
        cdef _Input view
        self._rates = None
        self.s.rates = NULL
        if rates is None:
            return
        self._rates = np.array(rates, np.float64, ndmin=1)
        if self._rates.ndim != 1 or not len(self._rates):
            raise ValueError("rates must hold a number for each step. Received: an array of shape "
                             f"{self._rates.shape}")
        view = _Input(self._rates, self._rates.shape, "rates", False, _FLOAT64)
        self.s.rates, self.s.n_rates = <const double*>view.view.buf, len(self._rates)
        self.s.rates_first = first_step
