"""The sections `data` and `split`: what is learned from, what is expected of it, and how it is divided."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gptmill.config.section import PositiveInt, Section, Share
from gptmill.config.sources import CorpusParams, InstructionsParams, SpamParams

NEAR_DUPLICATES = "Jaccard similarity of 5-character shingles above which texts count as near-duplicates"


class SampleParams(Section):
    corpus_characters: Annotated[int, Field(ge=20_000, le=1_300_000)] = Field(
        1_300_000, description="stories are taken until they have this many characters"
    )
    messages: Annotated[int, Field(ge=100, le=5574)] = Field(5574, description="SMS messages; of all, 13.4% are spam")
    instructions: Annotated[int, Field(ge=60, le=1100)] = Field(1100, description="instruction records")


class ExpectationParams(Section):
    min_corpus_characters: PositiveInt = Field(10_000, description="a shorter corpus stops the graph")
    max_unbroken_characters: PositiveInt = Field(
        10_000, description="documents with a longer run without white space go to quarantine"
    )
    max_repeated_line_share: Share = Field(
        0.3, description="a larger share of repeated lines, short ones aside, stops the graph"
    )
    min_messages: PositiveInt = Field(1000, description="fewer messages stop the graph")
    min_records: PositiveInt = Field(200, description="fewer instruction records stop the graph")
    min_class_share: Share = Field(
        0.05, description="a smaller share of any class among the valid messages stops the graph"
    )
    max_text_characters: PositiveInt = Field(
        20_000, description="longer messages and fields of records go to quarantine"
    )
    max_duplicate_share: Share = Field(
        0.5, description="a larger share of duplicates (case and spacing ignored) stops the graph"
    )
    max_near_duplicate_share: Share = Field(0.5, description="a larger share of near-duplicates stops the graph")
    # Below 0.75 MinHash would miss pairs: see data/near_duplicates.py.
    near_duplicate_similarity: Annotated[float, Field(ge=0.75, le=1)] = Field(0.8, description=NEAR_DUPLICATES)
    max_quarantined_share: Share = Field(0.02, description="a larger share of bad rows in one data set stops the graph")


class DataParams(Section):
    source: Literal["sample", "book", "custom"] = Field(
        "sample", description="sample: embedded, offline; book: the book's public files; custom: the urls below"
    )
    sample: SampleParams = Field(SampleParams(), description="size of the embedded sample")
    corpus: CorpusParams = Field(CorpusParams(), description="training data of the base model and the tokenizer")
    spam: SpamParams = Field(SpamParams(), description="training data of the classifier: texts with any classes")
    instructions: InstructionsParams = Field(InstructionsParams(), description="training data of the instruct model")
    expectations: ExpectationParams = Field(ExpectationParams(), description="checks before anything is trained")


class SharesParams(Section):
    train: Share = Field(0.7, description="share of the rows to train on")
    validation: Share = Field(0.1, description="share to choose the best epoch by; the rest is the test split")

    @model_validator(mode="after")
    def _leave_a_test_split(self) -> Self:
        if not self.train > 0 or not self.validation > 0 or self.train + self.validation >= 1:
            raise ValueError(
                f"train ({self.train}) and validation ({self.validation}) must be above 0 "
                "and leave something for the test split"
            )
        return self


METHOD = "groups: seeded, stratified, near-duplicates in one split; book: the book's own split, for comparison"


class SpamSplitParams(SharesParams):
    method: Literal["groups", "book"] = Field("groups", description=METHOD)
    balance: Literal["undersample", "weights", "none"] = Field(
        "weights", description="undersample: equal classes; weights: all rows, loss weighted by class; none: all rows"
    )

    @model_validator(mode="after")
    def _the_book_undersamples(self) -> Self:
        if self.method == "book" and self.balance != "undersample":
            raise ValueError(
                f"method book is the book's split, which undersamples: balance ({self.balance}) must be undersample"
            )
        return self


class InstructionSplitParams(SharesParams):
    method: Literal["groups", "book"] = Field("groups", description=METHOD)


class CorpusSplitParams(Section):
    validation: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="share at the corpus' end for validation")


class SplitParams(Section):
    corpus: CorpusSplitParams = Field(CorpusSplitParams(), description="split of the corpus' tokens")
    spam: SpamSplitParams = Field(SpamSplitParams(), description="split of the messages")
    instructions: InstructionSplitParams = Field(
        InstructionSplitParams(train=0.85, validation=0.05), description="split of the records"
    )
