import pytest

from broker.receipts import Receipt, read_receipt, write_receipt

RECEIPT = Receipt(bytes(range(16)), 2**63 - 1, 7, "orders.eu-1")


def test_what_was_written_is_read_back():
    assert read_receipt(write_receipt(RECEIPT)) == RECEIPT


def test_a_receipt_is_safe_in_a_url_and_in_a_header():
    assert (
        write_receipt(Receipt(b"\xff" * 16, 1, 1, "q" * 255))
        .replace("-", "")
        .replace("_", "")
        .isalnum()
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",  # too short
        write_receipt(RECEIPT)[:30],  # cut off within the fixed part
        write_receipt(RECEIPT) + "!",  # not base64
        "ä" * 40,
        "A" * 10_001,  # an impossible length
        write_receipt(RECEIPT)[:-3] + "_w",  # a queue name that is not UTF-8
        write_receipt(Receipt(bytes(16), 1, 1, "a\x00b")),  # no queue has such a name
        write_receipt(Receipt(bytes(16), 1, 1, "")),
        write_receipt(Receipt(bytes(16), -1, 1, "q")),  # nor a message such an id
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="^not a receipt of this broker$"):
        read_receipt(text)
