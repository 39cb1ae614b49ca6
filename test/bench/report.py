"""Output on the terminal and in the JSON: rows of medians, ratios within rounds, figures and goals."""

import statistics

NAMES = {"pg_rill": "pg_rill", "plain": "plain INSERT", "notify": "NOTIFY trigger", "redis": "Redis Streams",
         "nats": "NATS JetStream", "pgq": "PgQ", "serve": "rill serve", "reference": "reference server"}


class Figure:
    """One figure and its goal. `measured` has median, lowest and highest; better is "more" or "less"."""

    def __init__(self, key, what, measured, goal, better="more"):
        self.key, self.what, self.measured, self.goal, self.better = key, what, measured, goal, better

    def reached(self):
        if self.goal is None:
            return None
        median = self.measured["median"]
        return median >= self.goal if self.better == "more" else median <= self.goal

    def as_json(self):
        return {"key": self.key, "what": self.what, **self.measured, "goal": self.goal, "better": self.better,
                "reached": self.reached()}


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:.2f}"


def spread(values):
    """Median, lowest and highest value."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def show_values(title, unit, rows):
    """rows: {label: {rival: [values]}}"""
    print(f"\n{title} [{unit}, median (lowest to highest)]")
    rivals = list(dict.fromkeys(rival for row in rows.values() for rival in row))
    width = max(12, *(len(str(label)) for label in rows)) + 2
    print(" " * width + "".join(f"{NAMES.get(rival, rival):>36}" for rival in rivals))
    for label, row in rows.items():
        line = f"{label!s:<{width}}"
        for rival in rivals:
            text = ""
            if rival in row:
                s = spread(row[rival])
                text = f"{number(s['median'])} ({number(s['least'])} to {number(s['greatest'])})"
            line += f"{text:>36}"
        print(line, flush=True)


def show_figures(figures):
    print(f"\n{'figure':<8}{'what':<76}{'goal':<14}measured")
    for figure in figures:
        sign = {"more": ">=", "less": "<="}[figure.better]
        goal = f"{sign} {number(figure.goal)}" if figure.goal is not None else ""
        m = figure.measured
        range_ = f" ({number(m['least'])} to {number(m['greatest'])})" if "least" in m else ""
        verdict = {True: "reached", False: "MISSED", None: ""}[figure.reached()]
        print(f"{figure.key:<8}{figure.what:<76}{goal:<14}{number(m['median']) + range_:<30} {verdict}".rstrip())
