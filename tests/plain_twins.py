"""Every method once more, naively: lists of gradients, means taken afresh, no care for speed or memory."""

from fractions import Fraction

import numpy as np


class Cluster:
    """n workers on the quadratic Fᵢ = ½xᵀAᵢx − bᵢᵀx, in virtual time, one list entry per fact."""

    def __init__(self, A, b, x0, times, step_size, until):
        self.A, self.b, self.times, self.step_size, self.until = A, b, times, step_size, until
        self.n = len(times)
        self.workers = range(self.n)
        self.x, self.updates, self.now = np.array(x0, dtype=float), 0, 0.0
        self.held = [None] * self.n  # (point, updates when it was handed out)
        self.started = [None] * self.n  # time at which the worker's job began, None when idle
        self.queue = [[] for _ in self.workers]
        self.num_jobs = [0] * self.n
        self.spans = [[] for _ in self.workers]  # seconds of every finished or dropped job
        self.dropped = self.ignored = 0
        self.log = []  # (time, worker, k, delay) of every arrival
        self.path = [(0.0, self.x, 0)]  # (time, x, updates) after every event

    def begin(self, i, handed):
        self.held[i], self.started[i] = handed, self.now
        self.num_jobs[i] += 1

    def give(self, i):
        """Hands worker i the current x; if it is busy, the job waits."""
        handed = (self.x.copy(), self.updates)
        if self.started[i] is None:
            self.begin(i, handed)
        else:
            self.queue[i].append(handed)

    def go_on(self, i):
        """Lets worker i compute another gradient at the point it holds."""
        assert self.started[i] is None
        self.begin(i, self.held[i])

    def drop(self, i):
        """Stops worker i and forgets what waits for it."""
        if self.started[i] is not None:
            self.spans[i].append(self.now - self.started[i])
            self.dropped += self.now > self.started[i]
            self.started[i] = None
        self.queue[i] = []

    def restart_all(self):
        for i in self.workers:
            self.drop(i)
            self.give(i)

    def give_all(self):
        for i in self.workers:
            self.give(i)

    def step(self, direction):
        self.x = self.x - self.step_size * direction
        self.updates += 1

    def arrivals(self):
        """Yields (worker, gradient, delay); between two of them the caller updates x and hands out jobs."""
        while True:
            coming = [(self.started[i] + self.times[i], i) for i in self.workers if self.started[i] is not None]
            if not coming or min(coming)[0] > self.until:
                return
            self.now, i = min(coming)
            point, handed_at = self.held[i]
            delay = self.updates - handed_at
            self.log.append((self.now, i, self.num_jobs[i] - 1, delay))
            self.spans[i].append(self.now - self.started[i])
            self.started[i] = None
            if self.queue[i]:
                self.begin(i, self.queue[i].pop(0))
            yield i, self.A[i] @ point - self.b[i], delay
            self.path.append((self.now, self.x, self.updates))

    def at(self, time):
        """x and the number of updates after every arrival up to `time`."""
        return [(x, updates) for when, x, updates in self.path if when <= time][-1]

    def idle_seconds(self):
        in_flight = [0.0 if start is None else self.until - start for start in self.started]
        return [self.until - sum(self.spans[i]) - in_flight[i] for i in self.workers]


def mean(vectors):
    vectors = list(vectors)
    return sum(vectors) / len(vectors)


def rescaled(c, weights=None):
    harmonic_mean = c.n / sum(1 / seconds for seconds in c.times)
    weights = weights or [1 / c.n for _ in c.workers]
    c.give_all()
    for i, g, _ in c.arrivals():
        c.step(c.n * weights[i] * c.times[i] / harmonic_mean * g)
        c.give(i)


def asgd(c):
    c.give_all()
    for i, g, _ in c.arrivals():
        c.step(g)
        c.give(i)


def delay_adaptive(c, rule="code"):
    c.give_all()
    for i, g, delay in c.arrivals():
        factor = {"code": Fraction(c.n, max(c.n, delay)), "paper": Fraction(1, 1 + delay)}[rule]
        c.step(float(factor) * g)
        c.give(i)


def minibatch(c):
    c.give_all()
    batch = {}
    for i, g, _ in c.arrivals():
        batch[i] = g
        if len(batch) == c.n:
            c.step(mean(batch.values()))
            batch = {}
            c.give_all()


def malenia(c, S=None):
    enough = max(Fraction(1), Fraction(c.n if S is None else S) / c.n)
    c.give_all()
    table = [[] for _ in c.workers]
    for i, g, _ in c.arrivals():
        table[i].append(g)
        if all(table) and c.n / sum(Fraction(1, len(own)) for own in table) >= enough:
            c.step(mean(mean(own) for own in table))
            table = [[] for _ in c.workers]
            c.restart_all()
        else:
            c.go_on(i)


def rennala(c, S=None):
    c.give_all()
    batch = []
    for i, g, delay in c.arrivals():
        assert delay == 0  # older jobs were all dropped
        batch.append(g)
        if len(batch) == (S or c.n):
            c.step(mean(batch))
            batch = []
            c.restart_all()
        else:
            c.give(i)


def ringleader(c, restart="held", trigger="joins"):
    go_on = c.go_on if restart == "held" else c.give
    first, second, updated = [[] for _ in c.workers], [[] for _ in c.workers], set()
    c.give_all()
    for i, g, _ in c.arrivals():
        if i in updated:
            second[i].append(g)
            go_on(i)
            continue
        (second if trigger == "opens" and all(first) else first)[i].append(g)
        if not all(first):
            go_on(i)
            continue
        c.step(mean(mean(own) for own in first))
        updated.add(i)
        c.give(i)
        if len(updated) == c.n:
            first, second, updated = second, [[] for _ in c.workers], set()


def ia2sgd(c):
    table = {}
    c.give_all()
    for i, g, _ in c.arrivals():
        was_full = len(table) == c.n
        table[i] = g
        if was_full:
            c.step(mean(table.values()))
        c.give(i)


def ringmaster(c, R=None, abort=False):
    R = R or c.n
    c.give_all()
    for i, g, delay in c.arrivals():
        if delay < R:
            c.step(g)
        else:
            c.ignored += 1
        c.give(i)
        for j in c.workers:
            if abort and c.updates - c.held[j][1] >= R:
                c.drop(j)
                c.give(j)


def fedbuff(c, K=None):
    K = K or max(2, c.n // 4)
    c.give_all()
    buffer = []
    for i, g, _ in c.arrivals():
        buffer.append(g)
        if len(buffer) == K:
            c.step(mean(buffer))
            buffer = []
        c.give(i)


def ca2fl(c, K=None):
    K = K or max(2, c.n // 4)
    c.give_all()
    h, buffer = [np.zeros_like(c.x) for _ in c.workers], []
    for i, g, _ in c.arrivals():
        buffer.append((i, g))
        if len(buffer) == K:
            c.step(mean(h) + mean(g - h[j] for j, g in buffer))
            for j, g in buffer:
                h[j] = g
            buffer = []
        c.give(i)


def concurrent(c, assignment):
    c.give_all()
    for number, (_, g, _) in enumerate(c.arrivals()):
        c.step(g)
        c.give(assignment[number % len(assignment)])


shuffled = concurrent
