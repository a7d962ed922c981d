"""The server, by requests as a browser and others send them."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
from collections import Counter
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ptheta.study.export import answers, export, people
from ptheta.study.files import read_answers
from ptheta.study.guard import HEADERS, MOST_BODY, Doors
from ptheta.study.plan import read_plan
from tests.study.sites import ANSWERS, SIDE, Visitor, make, served, truths

pytest.importorskip("fastapi", reason="ptheta[web] is not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def site(place):
    """A study of real and fake images: its folder and its port."""
    made = make(place, "hype-infinity")
    with served(made.folder) as port:
        yield made.folder, port


@pytest.fixture
def visitor(site):
    return Visitor(site[1])


names = iter(f"person {i}" for i in range(1000))


@pytest.mark.parametrize("protocol", ANSWERS)
def test_a_person_answers_everything_and_the_answers_are_exported(place, tmp_path, protocol):
    made = make(place, protocol)
    with served(made.folder) as port:
        visitor = Visitor(port)
        states = visitor.finish(visitor.join(), ANSWERS[protocol])
    assert [s["trial"] for s in states[:-1]] == list(range(sum(made.study.counts.values())))
    assert states[-1]["step"] == "done"
    assert export(made.folder, tmp_path / "answers.csv") == len(states) - 1
    rows = read_answers(tmp_path / "answers.csv")
    assert rows == answers(made.folder)
    assert {row.participant for row in rows} == {"Ana"}
    source = truths(made.plan)
    for row, state in zip(rows, states, strict=False):
        assert (row.trial, row.phase) == (state["trial"], state["phase"])
        assert source[row.item] == row.source
        assert row.asked_ms == state["asked_ms"]
        assert row.shown_ms == 500
    right = [r.correct for r in rows if (r.phase, r.kind) == ("main", "normal") and r.truth]
    assert states[-1]["right"] == (sum(map(bool, right)) if right else None)
    assert states[-1]["same"] == states[-1]["repeats"] == 2
    (one,) = people(made.folder)
    assert one.answered == one.of == len(rows)


def test_a_page_that_is_loaded_again_goes_on_at_the_same_question(visitor):
    first = visitor.join(next(names))
    again = visitor.open()
    assert {**again, "tab": 0} == {**first, "tab": 0}
    state = visitor.answer(again, "real").said
    later = visitor.open()
    assert later["trial"] == state["trial"] == 1
    assert later["images"] == state["images"]


def test_an_answer_that_is_sent_twice_or_changed_later_counts_once(site, visitor):
    state = visitor.join(name := next(names))
    one = visitor.answer(state, "fake")
    for answer in ("fake", "real"):
        again = visitor.answer(state, answer)
        assert again.status == 200
        assert again.said == one.said  # with the feedback of the first answer
    (row,) = [row for row in answers(site[0]) if row.participant == name]
    assert row.answer == "fake"


def test_answers_at_the_same_moment_count_once(site, visitor):
    state = visitor.join(name := next(names))
    replies = list[int]()
    threads = [
        threading.Thread(target=lambda: replies.append(visitor.answer(state, "real").status))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [200] * 8
    assert len([row for row in answers(site[0]) if row.participant == name]) == 1


def test_no_question_is_left_out(visitor):
    state = visitor.join(next(names))
    for trial in (1, 2, 10**6):
        assert visitor.answer({**state, "trial": trial}, "real").status == 409
    assert visitor.open()["trial"] == 0


def test_only_the_tab_that_was_opened_last_answers(visitor):
    old = visitor.join(next(names))
    new = visitor.open()
    reply = visitor.answer(old, "real")
    assert (reply.status, reply.said["error"]) == (409, "tab")
    assert visitor.open()["trial"] == 0
    state = visitor.answer({**new, "tab": visitor.open()["tab"]}, "real")
    assert state.status == 200


def test_joining_twice_makes_one_person_and_a_name_belongs_to_one(site, visitor):
    name = next(names)
    first, again = visitor.join(name), visitor.join(name)
    assert {**first, "tab": 0} == {**again, "tab": 0}
    body = {"name": name.upper(), "consent": True, "language": "en", "key": "0" * 48}
    other = Visitor(site[1]).post("/api/join", body)
    assert (other.status, other.said["error"]) == (409, "taken")


def test_images_are_sent_to_who_is_asked_about_them_alone(site, visitor):
    state = visitor.join(next(names))
    (address,) = state["images"]
    assert visitor.get(f"/{address}").status == 200
    assert Visitor(site[1]).get(f"/{address}").status == 401
    other = Visitor(site[1])
    other.join(next(names))
    assert other.get(f"/{address}").status == 404
    following = visitor.answer(state, "real").said
    assert visitor.get(f"/{address}").status == 404
    assert visitor.get(f"/{following['images'][0]}").status == 200


def test_the_qualification_ends_the_study_for_who_fails(place):
    made = make(place, "hype-infinity", least_correct=0.8)
    with served(made.folder) as port:
        visitor = Visitor(port)
        states = visitor.finish(visitor.join(), "real")
        assert states[-1]["step"] == "failed"
        assert len(states) == 1 + 4 + 4
        assert visitor.open()["step"] == "failed"
        body = {"tab": states[-1]["tab"], "trial": 8, "answer": "real"}
        assert visitor.post("/api/answer", body | {"shown_ms": 1, "response_ms": 1}).status == 409


def test_the_next_person_at_a_browser_is_another_one(place):
    made = make(place, "rating")
    with served(made.folder) as port:
        visitor = Visitor(port)
        assert visitor.post("/api/leave", {}).status == 401
        state = visitor.join("first")
        assert visitor.post("/api/leave", {}).status == 409
        assert visitor.open()["trial"] == 0
        visitor.finish({**state, "tab": visitor.open()["tab"]}, "3")
        assert visitor.post("/api/leave", {}).said == {"step": "welcome"}
        assert not any(value.strip('"') for value in visitor.cookies.values())
        visitor.cookies.clear()
        assert visitor.open() == {"step": "welcome"}
        visitor.key = "0" * 48
        assert visitor.join("second")["trial"] == 0
    assert [one.state for one in people(made.folder)] == ["finished", "under way"]


def test_people_are_shared_out_evenly_among_the_sources(site, place):
    made = make(place, "hype-infinity")
    with served(made.folder) as port:
        for i in range(6):
            Visitor(port).join(f"p{i}")
    assert Counter(one.source for one in people(made.folder)) == {"one": 3, "two": 3}


# -- what a browser may learn


def test_real_and_fake_images_look_alike_in_everything_but_their_pixels(place):
    """Everything that the browser got in the main part, but for pixels: the same for both."""
    made = make(place, "hype-infinity", qualification=0)
    seen: dict[str, set[object]] = {"real": set(), "fake": set()}
    addresses, pixels = list[str](), list[bytes]()
    with served(made.folder) as port:
        for person in range(3):
            visitor = Visitor(port)
            state = visitor.join(f"p{person}")
            while state["step"] == "trial":
                visitor.heard.clear()
                (address,) = state["images"]
                visitor.get(f"/{address}")
                trial, phase = state["trial"], state["phase"]
                state = visitor.answer(state, "real").said
                (_, image), (_, reply) = visitor.heard
                rows = [r for r in answers(made.folder) if r.participant == f"p{person}"]
                if phase == "main" and state["step"] == "trial":
                    assert Image.open(BytesIO(image.body)).size == (SIDE, SIDE)
                    chunks = Image.open(BytesIO(image.body)).info
                    told = (
                        *(image.status, tuple(sorted(image.headers.items())), len(image.body)),
                        *(str(chunks), len(address), reply.status, tuple(state)),
                        tuple((k, len(str(v))) for k, v in state.items() if k not in VARYING),
                        tuple(sorted(set(reply.headers) - {"content-length"})),
                    )
                    seen[rows[trial].truth].add(told)
                    addresses.append(address)
                    pixels.append(image.body)
    assert seen["real"] == seen["fake"]
    assert len(seen["real"]) == 1
    ids = truths(made.plan)
    assert not any(name in address for name in ids for address in addresses)
    assert len(set(addresses)) == len(addresses) > len(set(pixels))  # a repeat has a new address


VARYING = ("trial", "number", "rest")  # which depend on the place alone


def test_files_of_a_study_differ_in_nothing_but_pixels(site):
    folder = site[0]
    files = sorted((folder / "images").iterdir())
    assert len({file.stat().st_size for file in files}) == 1
    opened = [Image.open(file) for file in files]
    assert {(one.size, one.mode, str(one.info)) for one in opened} == {((SIDE, SIDE), "RGB", "{}")}
    source = truths(read_plan(folder))
    assert [source[f.stem] for f in files] != sorted(source[f.stem] for f in files)


def test_images_are_stored_without_loss(site, place):
    plan = read_plan(site[0])
    item = next(item for item in plan.items if (item.source, item.use) == ("one", "main"))
    stored = np.asarray(Image.open(site[0] / "images" / f"{item.id}.png"))
    assert (stored == np.asarray(Image.open(place / "one" / item.origin))).all()


def test_the_page_and_its_files_say_nothing_of_the_sources(site, visitor):
    folder, _ = site
    plan = read_plan(folder)
    page = visitor.get("/").body.decode()
    parts = ["main.js", "talk.js", "show.js", "parts.js", "style.css", "words.json"]
    for part in parts:
        reply = visitor.get(f"/static/{part}")
        assert reply.status == 200
        page += reply.body.decode()
    assert not any(item.id in page or item.origin in page for item in plan.items)
    assert "plan.json" not in page


# -- who may come in


def test_every_answer_has_the_headers_that_keep_a_page_to_itself(visitor):
    for path in ("/", "/static/main.js", "/nothing", "/image/x", "/mask/0"):
        reply = visitor.get(path)
        assert {k: reply.headers[k] for k in HEADERS} == HEADERS
        assert "server" not in reply.headers
        assert "etag" not in reply.headers
        assert "last-modified" not in reply.headers
    assert "unsafe" not in HEADERS["content-security-policy"]


ODD = [
    *("/../plan.json", "/static/../plan.json", "/static/%2e%2e/plan.json", "/image/../plan.json"),
    *("/images/", "/static/page.html", "/static/..%2fplan.json", "/static/%00", "/plan.json"),
    *("/study.json", "/answers.db", "/answers.db-wal", "//etc/passwd", "/image/%2fetc%2fpasswd"),
    *("/docs", "/openapi.json", "/redoc", "/mask/-1", "/mask/9999999", "/mask/%ff", "/mask/٣"),
    *(f"/image/{'a' * 32}", f"/{'x' * 5000}", "/static/", "/image/", "/%ff%fe"),
]


@pytest.mark.parametrize("path", ODD)
def test_no_path_leads_to_a_file(visitor, path):
    visitor.join(next(names))
    reply = visitor.get(path.encode("ascii", "ignore").decode() or "/x")
    assert reply.status == 404, reply
    assert b"root:" not in reply.body
    assert set(reply.said) == {"error", "text"}


BODIES = [
    *(b"", b"{", b"null", b"[]", b"1", b"{}", b"\xff\xfe", b"[" * 8000, b'{"tab": NaN}'),
    b'{"tab": 1e400, "trial": 0, "answer": "real", "shown_ms": 1, "response_ms": 1}',
    b'{"tab": "1", "trial": 0, "answer": "real", "shown_ms": 1, "response_ms": 1}',
    b'{"tab": 1, "trial": -1, "answer": "real", "shown_ms": 1, "response_ms": 1}',
    b'{"tab": 1, "trial": 0, "answer": "real", "shown_ms": -1, "response_ms": 1}',
    b'{"tab": 1, "trial": 0, "answer": "real", "shown_ms": NaN, "response_ms": 1}',
    b'{"tab": 1, "trial": 0, "answer": "real", "shown_ms": 1, "response_ms": 1, "truth": "x"}',
    b'{"tab": 1, "trial": 0, "answer": ["real"], "shown_ms": 1, "response_ms": 1}',
    b'{"tab": ' + b"9" * 6000 + b"}",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ["/api/answer", "/api/join"])
def test_a_body_of_another_form_is_one_clear_status(visitor, path, body):
    visitor.join(next(names))
    reply = visitor.post(path, body)
    assert reply.status in (400, 422), reply
    assert set(reply.said) == {"error", "text"}
    assert visitor.open()["trial"] == 0


@pytest.mark.parametrize("answer", ["Real", "left", "", "<script>", "5"])
def test_an_answer_is_one_of_those_offered(visitor, answer):
    state = visitor.join(next(names))
    assert visitor.answer(state, answer).status == 422


NAMES = [
    *(
        "",
        " ",
        "<script>alert(1)</script>",
        "a<b",
        "=1+1",
        "@x",
        "-x",
        "a" * 41,
        "a\0b",
        "a\nb\x07",
    ),
    *("'; DROP TABLE people; --", "../../x", "a/b", '"x"', "\u202eabc", "{{7*7}}", "\ud800"),
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_holds_no_markup_and_no_formula(visitor, name):
    body = {"name": name, "consent": True, "language": "en", "key": visitor.key}
    reply = visitor.post("/api/join", body)
    assert reply.status in (400, 422)


@pytest.mark.parametrize("name", ["Zoë", "李雷", "P-01_b.2", "  two   words "])
def test_a_name_may_be_of_any_script(visitor, name):
    assert visitor.join(name)["name"] == " ".join(name.split())


def test_who_does_not_agree_does_not_join(visitor):
    body = {"name": "Bo", "consent": False, "language": "en", "key": visitor.key}
    assert visitor.post("/api/join", body).said["error"] == "consent"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(visitor, headers):
    state = visitor.join(next(names))
    reply = visitor.post("/api/answer", {}, **headers)
    assert reply.status == 403
    assert visitor.open()["trial"] == state["trial"]


def test_the_own_page_is_let_in(visitor):
    origin = {"origin": f"http://127.0.0.1:{visitor.port}", "sec-fetch-site": "same-origin"}
    assert visitor.post("/api/open", {}, **origin).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_local_server_answers_to_its_own_name_alone(visitor, host):
    assert visitor.get("/", host=host).status == 421


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "POST"])
def test_other_methods_are_refused(visitor, method):
    assert visitor.ask(method, "/").status == 405


def test_a_body_that_says_it_is_large_is_refused_at_once(site):
    link = http.client.HTTPConnection("127.0.0.1", site[1], timeout=10)
    link.putrequest("POST", "/api/answer")
    link.putheader("content-length", str(10**9))
    link.endheaders()
    assert link.getresponse().status == 413
    link.close()


def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(site):
    with socket.create_connection(("127.0.0.1", site[1]), timeout=10) as link:
        link.sendall(
            b"POST /api/join HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        sent = 0
        try:
            while sent < 10**9:
                link.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
        except OSError:
            pass
        assert sent < 10**7
        assert sent > MOST_BODY


def test_a_token_is_needed_once(place):
    made = make(place, "rating")
    doors = Doors(token="a-long-token", hosts=(), mark="m")
    with served(made.folder, doors) as port:
        visitor = Visitor(port)
        paths = ("/", "/?token=another", "/static/main.js", "/api/open", "/?token=")
        assert {visitor.get(path).status for path in paths} == {403}
        assert visitor.get("/static/main.js?token=a-long-token").status == 403
        reply = visitor.get("/?token=a-long-token")
        assert (reply.status, reply.headers["location"]) == (303, "/")
        assert "a-long-token" not in reply.headers["set-cookie"]
        assert "HttpOnly" in reply.headers["set-cookie"]
        assert visitor.get("/").status == 200
        assert visitor.join()["step"] == "trial"


@pytest.mark.parametrize("prefix", ["/lab/study", ""], ids=["kept", "removed"])
def test_a_study_lies_below_a_base_path(place, prefix):
    """Whether the proxy keeps the path or removes it."""
    made = make(place, "rating")
    doors = Doors(base="/lab/study", hosts=(), origin="https://lab.example", token="t" * 9)
    with served(made.folder, doors) as port:
        visitor = Visitor(port, {"origin": "https://lab.example"})
        reply = visitor.get(f"{prefix}/?token={'t' * 9}")
        assert reply.headers["location"] == "/lab/study/"
        assert "Path=/lab/study/" in reply.headers["set-cookie"]
        assert "Secure" in reply.headers["set-cookie"]
        page = visitor.get(f"{prefix}/")
        assert b'<base href="/lab/study/">' in page.body
        key = {"name": "Ana", "consent": True, "language": "de", "key": visitor.key}
        reply = visitor.post(f"{prefix}/api/join", key)
        assert "Path=/lab/study/" in reply.headers["set-cookie"]
        assert visitor.get(f"{prefix}/{reply.said['images'][0]}").status == 200
        assert visitor.get("/lab/studyx").status == 404


ALONE = """
import sys
import ptheta.study.server, ptheta.study.serving, ptheta.study.export, ptheta.cli.study
slow = ("torch", "scipy", "matplotlib", "sklearn", "numpy")
found = [name for name in slow if name in sys.modules]
assert not found, found
"""


def test_the_server_imports_no_torch():
    subprocess.run([sys.executable, "-c", ALONE], check=True)
