from store.records import photo_id


def test_photo_id_tells_bucket_and_name_apart() -> None:
    assert photo_id("ab", "c") != photo_id("a", "bc")
    assert photo_id("file", "/ü.jpg") == "91462e2f43fbafeeaa4f3af5dce1cb19"
