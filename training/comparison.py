"""The table, the answers and the plot of a comparison.

A row is one training, {column: string} as `training.compare` writes it; a plan is the rows of one budget.
"""

from training.intervals import difference_interval, mean_interval
from training.model_card import processor

# (a network without pooling, the pooled one it is held against)
PAIRS = (
    ("strided_cnn_c", "base_c"),
    ("all_cnn_c", "base_c"),
    ("all_cnn_c", "convpool_cnn_c"),  # as many convolutions as all_cnn_c
    ("sprint_all_conv", "sprint_pool"),
)


def write(path, plans, data, command):
    """Writes the Markdown page at `path` and the plot, .png, beside it; returns `path`.

    `plans` is {budget: rows}; `command` is what makes the page again.
    """
    from training.plots import save_intervals

    plot = path.with_suffix(".png")
    picture = f"![each seed's accuracy, mean and 95% interval]({plot.name})"
    path.write_text("\n".join([*page(plans, data, command), "", picture]) + "\n", encoding="utf-8")
    save_intervals(
        plot,
        {budget: by_model(rows, "accuracy") for budget, rows in plans.items()},
        f"{data.name}, accuracy on {len(data.test.labels):,} test images: each seed, mean and 95% interval",
    )
    return path


def page(plans, data, command):
    """The lines of the page."""
    first = next(iter(plans.values()))[0]
    seeds = len({row["seed"] for rows in plans.values() for row in rows})
    yield f"# Compared on {data.name}"
    yield ""
    yield (
        f"{len(data.train.labels):,} training and {len(data.test.labels):,} test images, recipe {first['recipe']}, "
        f"width {float(first['width']):.3g}, {seeds} seeds, {processor()}. ± is the 95% interval of a mean over "
        'seeds (Student). "Same" is the share of predictions that stay what they were when the image moves by so many '
        "pixels, over four directions. Each difference has its own 95%, which leaves out what other test images would "
        "change."
    )
    yield ""
    yield f"    {command}"
    for budget, rows in plans.items():
        yield ""
        yield f"## At {budget}"
        yield ""
        if "multiply-adds" in budget:
            yield in_whole_epochs(rows)
            yield ""
        yield from table(rows)
        yield ""
        yield from (f"* {answer(rows, *pair)}" for pair in pairs(rows))


def in_whole_epochs(rows):
    """One sentence: how far from equal the trainings are."""
    costs = {row["model"]: int(row["multiply_adds"]) * int(row["epochs"]) for row in rows}
    first, budget = next(iter(costs.items()))
    shares = [cost / budget for cost in costs.values()]
    return f"In whole epochs, so with {min(shares):.2f} to {max(shares):.2f} times the multiply-adds of {first}."


def table(rows):
    """The lines of a Markdown table with a line for each network."""
    yield "| network | parameters | mult-adds | epochs | accuracy | same at 1 | at 2 | at 4 | calibration |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    means = {column: by_model(rows, column) for column in ("same_1", "same_2", "same_4", "calibration_error")}
    accuracies = by_model(rows, "accuracy")
    for model, row in {row["model"]: row for row in rows}.items():
        cells = [
            model,
            f"{int(row['parameters']):,}",
            f"{int(row['multiply_adds']) / 1e6:.1f}M",
            row["epochs"],
            str(mean_interval(accuracies[model])),
            *(f"{mean_interval(each[model]).mean:.1%}" for each in means.values()),
        ]
        yield f"| {' | '.join(cells)} |"


def pairs(rows):
    """The PAIRS that are both among `rows`; without any, every network against the first."""
    models = list(by_model(rows, "accuracy"))
    known = [pair for pair in PAIRS if set(pair) <= set(models)]
    return known or [(model, models[0]) for model in models[1:]]


def answer(rows, model, other):
    """One sentence: which of the two is more accurate, and how sure that is."""
    accuracies = by_model(rows, "accuracy")
    seeds = len(accuracies[model])
    difference = difference_interval(accuracies[model], accuracies[other])
    points = f"{100 * difference.mean:+.2f}"
    if difference.half is None:
        return f"{model} against {other}: {points} points; one seed each, which says nothing of chance."
    told = f"{model} against {other}: {points} ± {100 * difference.half:.2f} points"
    if difference.half == 0:
        return f"{told}; all seeds of each gave the same, which says nothing of chance."
    if abs(difference.mean) <= difference.half:
        return f"{told}, no difference that {seeds} seeds can tell from chance."
    return f"{told}, so {model if difference.mean > 0 else other} is more accurate."


def by_model(rows, column):
    """{model: the values of `column`, one a seed}, in the order of the rows."""
    values = {}
    for row in rows:
        values.setdefault(row["model"], []).append(float(row[column]))
    return values
