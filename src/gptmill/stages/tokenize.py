"""tokenize: the corpus as token files, with GPT-2's byte pairs or byte pairs of its own."""

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.data import corpus, tokenize
from gptmill.text.tokenizer import Tokenizer


def run(params: Params) -> None:
    share = params.split.corpus.validation
    if params.tokenizer.ranks == "gpt2":
        tokenizer = Tokenizer.from_gpt2_files(paths.BASE_VOCABULARY)
    else:
        # The end of the corpus is there to judge by: it teaches the tokenizer nothing.
        characters = sum(len(piece.text) for piece in corpus.read(paths.CLEAN_CORPUS, cleaned=True))
        pieces = corpus.read(paths.CLEAN_CORPUS, "byte pairs", cleaned=True)
        tokenizer = Tokenizer.train(
            tokenize.tokenizer_training_text(pieces, characters, share), params.tokenizer.vocab_size
        )
    meta = tokenize.write(
        tokenizer, paths.CLEAN_CORPUS, paths.TOKENS, share, params.model.context_length, params.compute.threads
    )
    with files.atomic(paths.TOKENIZER) as beside:
        beside.mkdir()
        tokenizer.save(beside)
    print(
        f"corpus: {meta['documents']:,} documents -> {meta['train_tokens']:,} training and {meta['validation_tokens']:,} validation tokens "
        f"of a vocabulary of {meta['vocab_size']:,}"
    )
