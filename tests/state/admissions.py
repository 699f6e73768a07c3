"""Which answer a test expects of `admit`: it is asserted, and known to the type checker."""

from multiroute_core.resilience.admission import Permit, Rejection


def expect_permit(answer: Permit | Rejection) -> Permit:
    assert isinstance(answer, Permit), answer
    return answer


def expect_rejection(answer: Permit | Rejection) -> Rejection:
    assert isinstance(answer, Rejection), answer
    return answer
