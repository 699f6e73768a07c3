"""Keys of clients: hashes only, and no entry is quoted."""

import hashlib
import pickle
from typing import Any

import pytest

from multiroute_core import ConfigurationError
from multiroute_core.serving import ApiKeys, create_key, hash_key


def test_keys_are_found_by_their_hash(tmp_path):
    shop, clinic = create_key(), create_key()
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\n{hash_key(shop)} shop\n{hash_key(clinic, 'blake2b')}  the clinic \n")
    for keys in (ApiKeys(path), ApiKeys(str(path)), ApiKeys({hash_key(shop): "shop", hash_key(clinic): "the clinic"})):
        assert keys.find_tenant(shop) == "shop"
        assert keys.find_tenant(clinic) == "the clinic"
        for wrong in ("", "mr-", shop[:-1], shop + "x", hash_key(shop), "ü\ud800"):
            assert keys.find_tenant(wrong) is None
        assert repr(keys) == "ApiKeys(<2 keys>)"


def test_a_file_of_an_editor_with_a_byte_order_mark_and_tabs_is_read(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"\ufeff{hash_key('mr-a')}\tshop\r\n{hash_key('mr-b')} \t the clinic\r\n", encoding="utf-8")
    assert [ApiKeys(path).find_tenant(key) for key in ("mr-a", "mr-b")] == ["shop", "the clinic"]


def test_hashes_of_hashlib_are_keys():
    for digest in (hashlib.sha256, hashlib.blake2b):
        assert ApiKeys({digest(b"mr-x").hexdigest(): "shop"}).find_tenant("mr-x") == "shop"


def test_every_entry_is_compared(monkeypatch):
    """Also after a match: the time does not tell which entry it is."""
    from multiroute_core.serving import keys as module

    compared = []
    compare = module.hmac.compare_digest
    monkeypatch.setattr(module.hmac, "compare_digest", lambda a, b: compared.append(1) or compare(a, b))
    created = [create_key() for _ in range(5)]
    keys = ApiKeys({hash_key(key): f"t{n}" for n, key in enumerate(created)})
    for key in (*created, "mr-unknown"):
        compared.clear()
        keys.find_tenant(key)
        assert len(compared) == 5


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{plain} shop\n", "sha256:12 shop\n", "md5:" + "0" * 64 + " shop\n", "{hash}\n"]
)
def test_a_wrong_file_is_refused_without_quoting_it(tmp_path, text):
    plain = create_key()
    path = tmp_path / "keys"
    path.write_text(text.format(plain=plain, hash=hash_key(plain)))
    with pytest.raises(ConfigurationError) as error:
        ApiKeys(path)
    assert plain not in str(error.value)
    assert hash_key(plain)[10:] not in str(error.value)


def test_a_missing_file_and_another_type_are_refused(tmp_path):
    sources: list[Any] = [tmp_path / "none", tmp_path, 3, ["x"]]
    for source in sources:
        with pytest.raises(ConfigurationError):
            ApiKeys(source)


def test_a_pickle_holds_hashes_only():
    key = create_key()
    keys = pickle.loads(pickle.dumps(ApiKeys({hash_key(key): "shop"})))
    assert keys.find_tenant(key) == "shop"
    assert key.encode() not in pickle.dumps(keys)
