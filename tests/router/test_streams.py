"""Artifacts as streams, up: whole, in parts, cut at any byte, killed, at once; and never visible before all is right."""

import secrets
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.router.streaming import Answer, Site, World, repr_digest
from tests.support.servers import Databases, Server, serving

LARGEST = 50_000_000
SMALL = bytes(range(256)) * 3 + b"the end"


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("streams"), databases, MAX_UPLOAD_BYTES=str(LARGEST)) as server:
        yield server


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World.new(server)


@pytest.fixture
def path(world: World) -> str:
    """A new name for an update of the member's."""
    return world.path("member", secrets.token_hex(8))


def part(site: Site, path: str, data: bytes, first: int, end: int, **headers: Any) -> Answer:
    """`data[first:end]`, as a part of the whole."""
    told = {"Repr_Digest": repr_digest(data), "Content_Range": f"bytes {first}-{end - 1}/{len(data)}", **headers}
    return site.ask("PUT", path, data[first:end], **told)


def cut(site: Site, path: str, data: bytes, first: int, end: int) -> None:
    """The whole from `first` on is announced, and the connection ends after `data[first:end]`."""
    with site.connect() as connection:
        more = {"Content_Range": f"bytes {first}-{len(data) - 1}/{len(data)}"} if first else {}
        connection.head("PUT", path, Content_Length=len(data) - first, Repr_Digest=repr_digest(data), **more)
        connection.send(data[first:end])


def until_offset(site: Site, path: str, expected: int) -> None:
    """The server notices a moment later that a client has gone."""
    deadline = time.monotonic() + 10
    while (answer := site.ask("HEAD", path)).offset != expected:
        assert time.monotonic() < deadline, (expected, answer)
        time.sleep(0.005)


def go_on(site: Site, path: str, data: bytes, first: int) -> Answer:
    """As soon as the server has noticed."""
    deadline = time.monotonic() + 10
    while (answer := part(site, path, data, first, len(data))).status == 409 and answer.json().get("busy"):
        assert time.monotonic() < deadline, answer
    return answer


def stored(site: Site, path: str) -> bytes:
    answer = site.ask("GET", path)
    assert answer.status == 200, answer
    return answer.body


def listed(site: Site, run: int) -> list[str]:
    return [it["name"] for it in site.json("GET", f"runs/{run}/artifacts/")]


def files(server: Server) -> list[Path]:
    return [it for it in Path(server.settings["ARTIFACTS_DIR"]).rglob("*") if it.is_file()]


@pytest.mark.parametrize("size", [0, 1, 65_536, (1 << 20) - 1, 1 << 20, 3_500_001])
def test_up_and_down(world: World, path: str, size: int) -> None:
    data = secrets.token_bytes(size)
    sent = world.member.put(path, data)
    assert (sent.status, sent.offset, sent.headers["repr-digest"]) == (201, size, repr_digest(data))
    assert stored(world.owner, path) == data
    head = world.owner.ask("HEAD", path)
    assert (head.status, head.offset, head.headers["content-length"], head.body) == (200, size, str(size), b"")
    assert head.headers["etag"] == sent.headers["etag"]
    assert sent.json() in world.member.json("GET", f"runs/{world.runs['member']}/artifacts/")
    assert (sent.json()["size"], sent.json()["sender"], sent.json()["attempt"]) == (size, world.member.uid, 1)


def test_an_address_with_a_slash_and_a_name_with_spaces(world: World) -> None:
    path = world.path("member", "a%20b+c=1@2,(3)-.x")
    assert world.member.put(path + "/", b"data").json()["name"] == "a b+c=1@2,(3)-.x"
    assert stored(world.owner, path) == stored(world.owner, path + "/") == b"data"


def test_cut_at_every_interesting_byte_it_goes_on_from_there(world: World) -> None:
    for place in [*range(1, 5), 255, 256, 257, *range(len(SMALL) - 3, len(SMALL))]:
        path = world.path("member", f"cut-{place}")
        cut(world.member, path, SMALL, 0, place)
        until_offset(world.member, path, place)
        assert world.owner.ask("GET", path).status == 404
        assert go_on(world.member, path, SMALL, place).status == 201
        assert stored(world.owner, path) == SMALL


def test_cut_after_the_last_byte_it_is_there(world: World, path: str) -> None:
    cut(world.member, path, SMALL, 0, len(SMALL))
    deadline = time.monotonic() + 10
    while world.member.ask("HEAD", path).status != 200:
        assert time.monotonic() < deadline
    assert stored(world.owner, path) == SMALL


def test_cut_again_and_again(world: World, path: str) -> None:
    data, at = secrets.token_bytes(4_000_000), 0
    for end in (1_048_576, 1_048_577, 2_500_000, 3_999_999):
        cut(world.member, path, data, at, end)
        until_offset(world.member, path, end)
        at = end
    head = world.member.ask("HEAD", path)
    assert (head.status, head.headers["upload-length"], "etag" in head.headers) == (204, "4000000", False)
    assert go_on(world.member, path, data, at).status == 201
    assert stored(world.owner, path) == data


def test_parts_one_after_the_other(world: World, path: str) -> None:
    for first in range(0, 700, 100):
        answer = part(world.member, path, SMALL, first, first + 100)
        assert (answer.status, answer.offset, answer.body) == (202, first + 100, b"")
        assert world.owner.ask("GET", path).status == 404
    assert part(world.member, path, SMALL, 700, len(SMALL)).status == 201
    assert stored(world.owner, path) == SMALL


@pytest.mark.parametrize("first", [0, 1, 299, 301, 500])
def test_a_part_that_does_not_begin_where_the_last_one_ended(world: World, path: str, first: int) -> None:
    assert part(world.member, path, SMALL, 0, 300).status == 202
    answer = part(world.member, path, SMALL, first, len(SMALL))
    assert (answer.status, answer.offset, answer.json()["upload_offset"]) == (409, 300, 300)
    assert "300 bytes have arrived" in answer.json()["detail"]
    assert part(world.member, path, SMALL, 300, len(SMALL)).status == 201
    assert stored(world.owner, path) == SMALL


def test_a_first_part_in_the_middle(world: World, path: str) -> None:
    answer = part(world.member, path, SMALL, 10, 20)
    assert (answer.status, answer.offset) == (409, 0)


def test_a_part_of_another_file_does_not_go_on(world: World, path: str) -> None:
    other = SMALL[::-1]
    assert part(world.member, path, SMALL, 0, 300).status == 202
    assert part(world.member, path, other, 300, len(other)).status == 409
    assert part(world.member, path, SMALL + b"+", 300, len(SMALL) + 1).status == 409
    assert part(world.member, path + "?attempt=2", SMALL, 300, len(SMALL)).status == 409
    assert world.member.put(path, other).status == 201, "without Content-Range it begins anew"
    assert stored(world.owner, path) == other


def test_all_has_arrived_and_nothing_is_left_to_send(world: World, path: str) -> None:
    """As after a kill between the last byte and the row."""
    claimed = {"Repr_Digest": repr_digest(SMALL), "Content_Range": f"bytes */{len(SMALL)}"}
    assert world.member.ask("PUT", path, b"", **claimed).offset == 0
    assert part(world.member, path, SMALL, 0, 300).status == 202
    answer = world.member.ask("PUT", path, b"", **claimed)
    assert (answer.status, answer.offset) == (409, 300)
    assert part(world.member, path, SMALL, 300, len(SMALL)).status == 201
    assert world.member.ask("PUT", path, b"", **claimed).status == 200


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_wrong_digest_is_never_visible(world: World, server: Server, path: str, in_parts: bool) -> None:
    data, wrong, run, before = secrets.token_bytes(2_000_000), repr_digest(b"other"), world.runs["member"], len(files(server))
    if in_parts:
        assert part(world.member, path, data, 0, 1_000_000, Repr_Digest=wrong).status == 202
        answer = part(world.member, path, data, 1_000_000, len(data), Repr_Digest=wrong)
    else:
        answer = world.member.put(path, data, Repr_Digest=wrong)
    problem = answer.json()
    assert answer.status == 400
    assert problem["announced"] in problem["detail"]
    assert problem["arrived"] in problem["detail"]
    name = path.rpartition("/")[2]
    for site in (world.member, world.owner):
        assert site.ask("GET", path).status == site.ask("HEAD", path).status == 404
        assert name not in listed(site, run)
        assert name not in str(site.json("GET", f"runs/{run}/"))
    zipped = world.owner.ask("GET", f"runs-action/download/?run={run}&type=mid_artifacts&all_runs=1")
    assert not any(name in it for it in (zipfile.ZipFile(BytesIO(zipped.body)).namelist() if zipped.status == 200 else []))
    assert len(files(server)) == before
    assert world.member.put(path, data).status == 201


def test_the_same_bytes_again_change_nothing_and_keep_the_connection(world: World, path: str) -> None:
    data = secrets.token_bytes(300_000)
    with world.member.connect() as connection:
        for status in (201, 200, 200):
            connection.head("PUT", path, Content_Length=len(data), Repr_Digest=repr_digest(data))
            connection.send(data)
            assert connection.answer().status == status
        connection.head("GET", path)
        assert connection.answer().body == data


def test_the_same_bytes_again_need_no_body(world: World, path: str) -> None:
    data = secrets.token_bytes(20_000_000)
    assert world.member.put(path, data).status == 201
    for more in ({"Expect": "100-continue"}, {}):
        with world.member.connect() as connection:
            connection.head("PUT", path, Content_Length=len(data), Repr_Digest=repr_digest(data), **more)
            answer = connection.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_long_body_that_nobody_wants_does_not_take_the_answer_along(world: World, path: str) -> None:
    data = secrets.token_bytes(20_000_000)
    assert world.member.put(path, data).status == 201
    other = bytes(len(data))
    with world.member.connect() as connection:
        connection.head("PUT", path, Content_Length=len(other), Repr_Digest=repr_digest(other))
        with suppress(OSError):
            connection.send(other)
        assert connection.answer().status == 409


def test_expect_100_continue(world: World, path: str) -> None:
    with world.member.connect() as connection:
        connection.head("PUT", path, Content_Length=len(SMALL), Repr_Digest=repr_digest(SMALL), Expect="100-continue")
        assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(SMALL)
        assert connection.answer().status == 201


def test_other_bytes_need_another_attempt(world: World, path: str) -> None:
    assert world.member.put(path, b"one").status == 201
    refused = world.member.put(path, b"two")
    assert refused.status == 409
    assert ("attempt 2" in refused.json()["detail"], refused.json()["attempt"]) == (True, 1)
    assert stored(world.owner, path) == b"one"
    replaced = world.member.put(f"{path}?attempt=3", b"three")
    assert (replaced.status, replaced.json()["attempt"]) == (201, 3)
    assert world.member.put(f"{path}?attempt=2", b"two").status == 409
    assert world.member.put(f"{path}?attempt=3", b"four").status == 409
    assert world.member.put(path, b"three").status == 200
    assert stored(world.owner, path) == b"three"
    assert world.owner.ask("GET", f"{path}?attempt=1").status == 404
    for wrong in ("0", "-1", "x", "99999999999"):
        assert world.member.put(f"{path}?attempt={wrong}", b"five").status == 400


def test_an_upload_by_a_form_replaces_and_counts_as_an_attempt(world: World, path: str) -> None:
    name = path.rpartition("/")[2]
    assert world.member.put(path, b"one").status == 201
    fields = {"run": world.runs["member"], "task_seq": 1, "round_seq": 1}
    form = b"".join(b"--b\r\nContent-Disposition: form-data; name=%s\r\n\r\n%d\r\n" % (key.encode(), it) for key, it in fields.items())
    form += b'--b\r\nContent-Disposition: form-data; name=mid_artifacts; filename="%s"\r\n\r\ntwo\r\n--b--\r\n' % name.encode()
    assert world.member.ask("POST", "runs-action/upload/", form, Content_Type="multipart/form-data; boundary=b").status == 200
    assert stored(world.owner, path) == b"two"
    assert world.owner.json("GET", f"runs/{world.runs['member']}/artifacts/")[-1]["attempt"] == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Length": None, "Transfer_Encoding": "chunked"}, 400),
        ({"Content_Length": "-5"}, 400),
        ({"Content_Length": "five"}, 400),
        ({"Content_Length": "5, 6"}, 400),
        ({"Content_Length": LARGEST + 1}, 413),
        ({"Content_Length": 10**17}, 413),
        ({"Repr_Digest": None}, 400),
        ({"Repr_Digest": "sha-256=abc"}, 400),
        ({"Repr_Digest": "sha-256=:abc:"}, 400),
        ({"Repr_Digest": "sha-512=:" + "A" * 88 + ":"}, 400),
        ({"Content_Range": "bytes 0-4"}, 400),
        ({"Content_Range": "bytes 0-4/*"}, 400),
        ({"Content_Range": "bytes 0-3/5"}, 400),
        ({"Content_Range": "bytes 4-0/5"}, 400),
        ({"Content_Range": "bytes 1-5/5"}, 400),
        ({"Content_Range": "bytes */5"}, 400),
        ({"Content_Range": f"bytes 0-4/{LARGEST + 1}"}, 413),
        ({"Content_Range": "items 0-4/5"}, 400),
    ],
)
def test_what_a_request_must_say(world: World, path: str, headers: dict[str, Any], status: int) -> None:
    told = {"Content_Length": 5, "Repr_Digest": repr_digest(b"bytes"), **headers}
    with world.member.connect() as connection:
        connection.head("PUT", path, **told)
        answer = connection.answer()
    assert answer.status == status, answer
    assert world.member.ask("HEAD", path).status == 404


def test_a_body_without_a_length(world: World, path: str) -> None:
    with world.member.connect() as connection:
        connection.head("PUT", path, Repr_Digest=repr_digest(b""))
        answer = connection.answer()
    assert answer.status == 400
    assert "Content-Length" in answer.json()["detail"]


def test_no_such_place(world: World) -> None:
    run = world.runs["member"]
    for address, status in {
        f"runs/{run}/artifacts/1/1/other/x": 400,
        f"runs/{run}/artifacts/x/1/logs/x": 400,
        f"runs/{run}/artifacts/1/-1/logs/x": 400,
        f"runs/{run}/artifacts/1/99999999999/logs/x": 400,
        "runs/x/artifacts/1/1/logs/x": 400,
        f"runs/{10**17}/artifacts/1/1/logs/x": 404,
        f"runs/{run}/artifacts/9/1/logs/x": 400,
        f"runs/{run}/artifacts/1/2/logs/x": 409,
        f"runs/{run}/artifacts/1/0/logs/x": 409,
        f"runs/{run}/artifacts/1/1/logs/.hidden": 400,
        f"runs/{run}/artifacts/1/1/logs/%00": 400,
        f"runs/{run}/artifacts/1/1/logs/{'n' * 151}": 400,
        f"runs/{run}/artifacts/1/1/logs/%F0%9F%90%9F": 400,
    }.items():
        assert world.member.put(address, b"data").status == status, address
        assert world.member.ask("GET", address).status in (400, 404), address
        assert world.member.ask("HEAD", address).status in (400, 404), address
    assert world.member.ask("DELETE", world.path("member", "x")).status == 405
    assert world.member.ask("POST", f"runs/{run}/artifacts/", b"").status == 405


def test_who_may_send_and_read(world: World) -> None:
    update, model = world.path("member", "of-the-member"), world.path("owner", "artifacts", kind="artifacts")
    everyone = {name: getattr(world, name) for name in ("admin", "owner", "member", "other", "outsider", "nobody")}

    def statuses(ask: Callable[[Site], Answer]) -> dict[str, int]:
        return {name: ask(site).status for name, site in everyone.items()}

    def only(status: int, *names: str, **others: int) -> dict[str, int]:
        return {name: others.get(name, status if name in names else 404) for name in everyone} | {"nobody": 401}

    refused = {"owner": 403, "other": 404, "outsider": 404, "nobody": 401}
    assert {name: everyone[name].put(update, b"update").status for name in refused} == refused
    assert part(world.member, update, b"update", 0, 3).status == 202
    assert statuses(lambda site: site.ask("HEAD", update)) == only(204, "admin", "member")
    assert world.member.put(update, b"update").status == 201
    assert statuses(lambda site: site.ask("HEAD", update)) == only(200, "admin", "owner", "member")
    assert statuses(lambda site: site.ask("GET", update)) == only(200, "admin", "owner", "member")
    assert statuses(lambda site: site.ask("GET", f"runs/{world.runs['member']}/artifacts/")) == only(200, "admin", "owner", "member")

    assert world.member.put(world.path("member", "artifacts", kind="artifacts"), b"model").status == 403
    assert {name: everyone[name].put(model, b"model").status for name in ("member", "other", "outsider", "nobody")} == {
        "member": 404, "other": 404, "outsider": 404, "nobody": 401,
    }  # fmt: skip
    assert world.owner.put(model, b"model").status == 201
    assert statuses(lambda site: site.ask("GET", model)) == only(200, "admin", "owner")
    mine = world.path("other", "artifacts", kind="artifacts")
    assert statuses(lambda site: site.ask("GET", mine)) == only(200, "admin", "owner", "other")
    seen = world.other.json("GET", f"runs/{world.runs['other']}/artifacts/")
    assert [(it["kind"], it["sender"]) for it in seen] == [("artifacts", world.owner.uid)]
    assert world.other.ask("GET", world.path("other", "of-the-member")).status == 404
    assert (seen[0]["sealed"], seen[0]["signature"]) == (False, None)


def test_two_at_once_are_never_mixed(world: World, path: str) -> None:
    first, second = secrets.token_bytes(500_000), secrets.token_bytes(500_000)
    with world.member.connect() as connection:
        connection.head("PUT", path, Content_Length=len(first), Repr_Digest=repr_digest(first))
        connection.send(first[:250_000])
        until_arrived(world.member, path, 250_000)
        for data in (first, second):
            busy = world.member.put(path, data)
            assert (busy.status, busy.json()["busy"], busy.headers["retry-after"]) == (409, True, "1")
        assert part(world.member, path, first, 100, len(first)).status == 409
        connection.send(first[250_000:])
        assert connection.answer().status == 201
    assert stored(world.owner, path) == first


def until_arrived(site: Site, path: str, size: int) -> None:
    """A little of what was sent may still be on its way; a HEAD looks, and takes part in nothing."""
    deadline = time.monotonic() + 10
    while (site.ask("HEAD", path).offset or 0) < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_many_at_once_one_wins(world: World, path: str) -> None:
    candidates = [secrets.token_bytes(400_000) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda data: world.member.put(path, data), candidates))
    won = [data for data, answer in zip(candidates, answers, strict=True) if answer.status == 201]
    assert {answer.status for answer in answers} <= {201, 409}
    assert [stored(world.owner, path)] == won


def test_what_was_left_is_taken_up_after_a_kill(serve: Callable[..., Server]) -> None:
    server = serve("serve")
    world = World.new(server)
    data, path = secrets.token_bytes(6_000_000), world.path("member", "mid-artifacts")
    with world.member.connect() as connection:
        connection.head("PUT", path, Content_Length=len(data), Repr_Digest=repr_digest(data))
        connection.send(data[:4_000_000])
        until_arrived(world.member, path, 3_000_000)
        server.kill()
    server.start()
    offset = world.member.ask("HEAD", path).offset
    assert offset is not None
    assert 3_000_000 <= offset <= 4_000_000
    assert world.owner.ask("GET", path).status == 404
    assert part(world.member, path, data, offset, len(data)).status == 201
    assert stored(world.owner, path) == data
    assert len(files(server)) == 1


def test_a_stopping_server_keeps_what_has_arrived(serve: Callable[..., Server]) -> None:
    server = serve("serve")
    world = World.new(server)
    data, path = secrets.token_bytes(1_000_000), world.path("member", "mid-artifacts")
    with world.member.connect() as connection:
        connection.head("PUT", path, Content_Length=len(data), Repr_Digest=repr_digest(data))
        connection.send(data[:500_000])
        until_arrived(world.member, path, 500_000)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4
    server.start()
    assert world.member.ask("HEAD", path).offset == 500_000
    assert part(world.member, path, data, 500_000, len(data)).status == 201
    assert stored(world.owner, path) == data


def test_files_of_a_round_that_is_over(serve: Callable[..., Server]) -> None:
    world = World.new(serve("serve"))
    path, late = world.path("member", "mid-artifacts"), world.path("member", "late")
    assert world.member.put(path, b"update").status == 201
    with world.member.connect() as connection:
        connection.head("PUT", late, Content_Length=len(SMALL), Repr_Digest=repr_digest(SMALL))
        connection.send(SMALL[:100])
        until_arrived(world.member, late, 100)
        world.aggregating()
        connection.send(SMALL[100:])
        answer = connection.answer()
    assert (answer.status, answer.json()["state"]) == (409, "Aggregating")
    assert world.member.ask("HEAD", late).status == 404, "nothing of it is kept"
    assert world.member.put(path, b"other").status == 409
    assert world.member.put(f"{path}?attempt=2", b"other").status == 409
    assert world.member.put(path, b"update").status == 200
    world.status("owner", 2, update_all=True, increase_round=True)
    assert world.member.put(late, SMALL).status == 409
    assert world.member.put(path, b"update").status == 200
    assert stored(world.owner, path) == b"update"
    assert world.member.put(world.path("member", "mid-artifacts", turn=2), b"next").status == 201


def test_under_wsgi(serve: Callable[..., Server]) -> None:
    """`manage.py runserver`: slower, and the same answers."""
    world = World.new(serve("runserver"))
    data, path = secrets.token_bytes(3_000_000), world.path("member", "mid-artifacts")
    assert world.member.put(path, data, Repr_Digest=repr_digest(b"")).status == 400
    assert part(world.member, path, data, 0, 1_500_000).status == 202
    assert world.member.ask("HEAD", path).offset == 1_500_000
    assert part(world.member, path, data, 1_500_000, len(data)).status == 201
    assert world.member.put(path, data).status == 200
    assert stored(world.owner, path) == data
    assert world.owner.ask("GET", path, Range="bytes=1000-2000000").body == data[1000:2000001]
    head = world.owner.ask("HEAD", path)
    assert (head.status, head.headers["content-length"]) == (200, "3000000")
    cut(world.member, world.path("member", "cut"), data, 0, 2_000_000)
    until_offset(world.member, world.path("member", "cut"), 2_000_000)


def test_a_stopping_server_ends_downloads_too(serve: Callable[..., Server]) -> None:
    world = World.new(serve("serve"))
    data, path = secrets.token_bytes(30_000_000), world.path("member", "mid-artifacts")
    assert world.member.put(path, data).status == 201
    with world.owner.connect() as connection:
        connection.head("GET", path)
        connection.socket.recv(100_000)
        began = time.monotonic()
        world.server.stop()
        assert time.monotonic() - began < 4
