import os
import signal

import pytest

from gptmill.runtime.signals import SignalTrap


def test_a_second_sigterm_does_not_cost_the_checkpoint_and_a_second_ctrl_c_ends_it_at_once():
    with SignalTrap() as trap:
        for number in (signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert trap.received == signal.SIGTERM
    with pytest.raises(KeyboardInterrupt), SignalTrap() as trap:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
    assert trap.received == signal.SIGINT
