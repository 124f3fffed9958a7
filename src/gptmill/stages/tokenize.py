"""tokenize: the corpus as token files, with GPT-2's tokenizer or one trained on the corpus."""

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.data import corpus, tokenize
from gptmill.text.tokenizer import Tokenizer


def run(params: Params) -> None:
    share = params.split.corpus.validation
    if params.tokenizer.ranks == "gpt2":
        tokenizer = Tokenizer.from_gpt2_files(paths.BASE_VOCABULARY)
    else:
        # The tokenizer is not trained on the validation part, the corpus' end.
        characters = sum(len(piece.text) for piece in corpus.read(paths.CLEAN_CORPUS, cleaned=True))
        pieces = corpus.read(paths.CLEAN_CORPUS, "byte pairs", cleaned=True)
        texts = tokenize.tokenizer_training_text(pieces, characters, share)
        tokenizer = Tokenizer.train(texts, params.tokenizer.vocab_size)
    context_length, threads = params.model.context_length, params.compute.threads
    meta = tokenize.write(tokenizer, paths.CLEAN_CORPUS, paths.TOKENS, share, context_length, threads)
    with files.atomic(paths.TOKENIZER) as tmp:
        tmp.mkdir()
        tokenizer.save(tmp)
    print(
        f"corpus: {meta['documents']:,} documents -> {meta['train_tokens']:,} training and "
        f"{meta['validation_tokens']:,} validation tokens "
        f"of a vocabulary of {meta['vocab_size']:,}"
    )
