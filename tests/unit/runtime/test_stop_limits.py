"""A process that is asked to stop ends by itself before it is ended: what its parts may take fits into what it has."""

from services.eventing.door.faust_door import STOP_WITHIN_S
from services.eventing.relay.kafka_writer import CLOSE_S
from services.eventing.relay.loop import STOP_S
from services.runtime.serving import REQUESTS_FINISH_S, STOP_TIMEOUT_S

PROMISED_S = 5.0
MARGIN_S = 0.2


def test_a_process_has_less_time_to_stop_than_it_promises_to_take() -> None:
    assert STOP_TIMEOUT_S < PROMISED_S


def test_a_relay_in_the_middle_of_an_append_has_time_to_cut_it_off_and_close() -> None:
    assert STOP_S + CLOSE_S + MARGIN_S <= STOP_TIMEOUT_S


def test_a_processor_has_time_to_give_faust_up() -> None:
    assert STOP_WITHIN_S + MARGIN_S <= STOP_TIMEOUT_S


def test_an_api_has_time_to_finish_its_requests() -> None:
    assert REQUESTS_FINISH_S + MARGIN_S <= STOP_TIMEOUT_S
