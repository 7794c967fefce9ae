from runtime.decisions.reasons import Reason


def test_codes_are_short_and_sentences_are_for_people():
    codes = [reason.code for reason in Reason]
    assert len(set(codes)) == len(codes)
    for reason in Reason:
        assert reason.code == reason.code.lower()
        assert " " not in reason.code
        assert len(reason.sentence.split()) > 3


def test_a_code_belongs_to_its_name():
    assert Reason.NOT_BLURRED.code == "not-blurred"
    assert all(reason.code == reason.name.lower().replace("_", "-") for reason in Reason)
