"""data_cards: a page for each data set, with its rows, lengths, duplicates, splits, and what was set aside."""

from gptmill.config.schema import Params
from gptmill.core import files, paths


def run(params: Params) -> None:
    from gptmill.report import data_card_inputs, data_cards
    from gptmill.text import prompts

    limits = params.model.context_length, params.classifier.max_length, params.instruct.max_length
    with files.atomic(paths.DATA_CARDS) as folder:
        folder.mkdir()
        made = list(data_card_inputs.read(*limits, prompts.TEMPLATES[params.instruct.prompt_style]))
        for card in made:
            files.write_text(folder / f"{card.name}.html", data_cards.render(card))
    for card in made:
        print(f"{paths.DATA_CARDS / card.name}.html: {data_cards.summary(card)}")
