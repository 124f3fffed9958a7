"""Golden losses: what miniature trainings came to when they were last looked at. A change that should not change what is computed must not
change them; one that should makes them anew, and its diff shows by how much:

    pytest tests/unit/training/test_losses.py --make-losses
"""

import json

import pytest

from gptmill.training import trainer

# Sums in another order (other CPUs, other kernels) differ by about 1e-7 a step, and training blows that up a little.
TOLERANCE = 1e-4


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("name", ["next_token", "instruction", "classification", "lora"])
def test_losses_are_the_golden_ones(task, training, cpu, root, request, name, optimizer):
    learn = task(name, dropout=0.0)
    params = training(epochs=4, evaluations=8, optimizer=optimizer, micro_batch_size=3)
    trained = trainer.train(learn.model(), learn.objective, params, cpu, name="t")
    found = {"train": [e.train_loss for e in trained.curve], "validation": [e.validation_loss for e in trained.curve]}
    path, key = root / "tests" / "assets" / "losses.json", f"{name}, {optimizer}"
    golden = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if request.config.getoption("--make-losses"):
        golden[key] = {split: [float(f"{loss:.7g}") for loss in losses] for split, losses in found.items()}
        path.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n", encoding="utf-8")
    assert found == {split: pytest.approx(losses, rel=TOLERANCE) for split, losses in golden[key].items()}
