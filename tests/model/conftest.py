"""Before any test imports torch: gptmill says how torch's threads wait, and two of them are enough for models as small as these."""

import gptmill  # noqa: F401
