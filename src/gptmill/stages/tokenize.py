"""tokenize: the corpus as token files, with GPT-2's byte pairs or byte pairs of its own."""

from gptmill import files, paths, tokenizer
from gptmill.data import corpus, sources, tokens
from gptmill.params import Params


def run(params: Params) -> None:
    documents = corpus.read(paths.CLEAN_CORPUS)["text"].tolist()
    share = params.split.corpus.validation
    if params.tokenizer.ranks == "gpt2":
        words = tokenizer.from_gpt2_files(sources.fetch(sources.GPT2_VOCABULARY))
    else:
        # The end of the corpus is there to judge by: it teaches the tokenizer nothing.
        words = tokenizer.train(tokens.before_validation(documents, share), params.tokenizer.vocab_size)
    meta = tokens.write(paths.TOKENS, words.encode_documents(documents), words.vocab_size, share)
    with files.atomic(paths.TOKENIZER) as beside:
        beside.mkdir()
        words.save(beside)
    print(
        f"corpus: {len(documents):,} documents -> {meta['train_tokens']:,} training and {meta['validation_tokens']:,} validation tokens "
        f"of a vocabulary of {meta['vocab_size']:,}"
    )
