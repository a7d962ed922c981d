"""Public answers of Stein et al. 2023: small made-up files of their two layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptheta.errors import PthetaError
from ptheta.study.analysis.analyse import analyse_public
from ptheta.study.analysis.rates import rates
from ptheta.study.analysis.stein import is_public, read_public

# (model, wrong of 100 generated images, wrong of 100 real ones) of each person
PEOPLE = [
    *(("GAN", 9, 20), ("GAN", 31, 12), ("GAN", 17, 32), ("GAN", 0, 51)),
    *(("VAE", 6, 12), ("VAE", 5, 4), ("VAE", 13, 8)),
]
HEADER = "id,model,num_correct,err_rt,f_err_rt,r_err_rt,r_ans_rt,resp_time,f_resp_time,r_resp_time"
# (model, generated, image, guesses, guesses "generated")
IMAGES = [
    *(("GAN", 0, "9/1.png", 3, 1), ("GAN", 0, "9/2.png", 2, 0), ("GAN", 1, "1.png", 4, 3)),
    *(("GAN", 1, "2.png", 0, 0), ("GAN", 1, "3.png", 1, 0), ("VAE", 0, "9/1.png", 5, 1)),
    *(("VAE", 0, "9/3.png", 1, 0), ("VAE", 1, "1.png", 2, 2), ("VAE", 1, "2.png", 4, 1)),
]


@pytest.fixture
def by_person(tmp_path: Path) -> Path:
    lines = [HEADER]
    for k, (model, fake, real) in enumerate(PEOPLE):
        # the numbers are written as the files have them: 1 - right / 100, with its rounding
        f, r = 1 - (100 - fake) / 100, 1 - (100 - real) / 100
        right = 200.0 - fake - real
        answered_real = (fake + 100 - real) / 200
        values = [f"participant_{k}", model, right, 1 - right / 200, f, r, answered_real]
        lines.append(",".join(map(str, [*values, 158.68, 81.6, 77.08])))
    path = tmp_path / "cifar10.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def by_image(tmp_path: Path) -> Path:
    lines = [",model,generated,image_path,number_guesses,number_guesses_generated,soft_label"]
    for k, (model, generated, image, n, fake) in enumerate(IMAGES):
        lines.append(f"{k},{model},{generated},{image},{n},{fake},{fake / n if n else 0.0}")
    path = tmp_path / "cifar10_labeled_data.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_means_are_those_of_people(by_person: Path):
    assert is_public(by_person)
    for found in rates(read_public(by_person)):
        own = np.array([(f, r) for model, f, r in PEOPLE if model == found.name]) / 100
        assert found.real is not None
        assert found.fake.value == pytest.approx(own[:, 0].mean(), abs=1e-9)
        assert found.real.value == pytest.approx(own[:, 1].mean(), abs=1e-9)
        assert found.both.value == pytest.approx(own.mean(), abs=1e-9)
        assert found.n_people == len(own)
        assert found.people is not None
        assert found.people.observed == pytest.approx(own.mean(1).std(ddof=1), abs=1e-9)
        # intervals are over people alone
        assert found.both.error == pytest.approx(own.mean(1).std(ddof=1) / np.sqrt(len(own)))


def test_means_are_those_of_images(by_image: Path):
    found = {one.name: one for one in rates(read_public(by_image))}
    gan, vae = found["GAN"], found["VAE"]
    assert gan.real is not None
    assert gan.fake.value == pytest.approx(2 / 5)
    assert gan.real.value == pytest.approx(1 / 5)
    assert vae.both.value == pytest.approx((3 / 6 + 1 / 6) / 2)
    assert (gan.n_people, gan.n_images) == (0, 4)


def test_the_report_says_what_the_file_does_not(by_person: Path, by_image: Path):
    assert "nothing of images" in analyse_public(read_public(by_person), "a").notes[0]
    assert "nothing of people" in analyse_public(read_public(by_image), "a").notes[0]


BAD = {
    "participant_9,GAN,171,0.145,0.09,0.2,,,,\n": None,
    "participant_9,GAN,170,0.145,0.09,0.2,,,,\n": "line 9: num_correct 170 is not 200 less",
    "participant_9,GAN,x,0.145,0.09,0.2,,,,\n": "line 9: num_correct is 'x' and not a number",
    "participant_9,GAN,171,0.145,0.095,0.2,,,,\n": "line 9: f_err_rt is 0.095 and not a share",
    "participant_9,GAN,171,0.145,1.5,0.2,,,,\n": "line 9: f_err_rt is 1.5 and not a share",
    "participant_9\n": "line 9: f_err_rt is '' and not a number",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_lines_of_people_give_one_line(by_person: Path, line: str):
    by_person.write_text(by_person.read_text() + line)
    message = BAD[line]
    if message is None:
        assert len(read_public(by_person)) == 200 * (len(PEOPLE) + 1)
        return
    with pytest.raises(PthetaError) as caught:
        read_public(by_person)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9,GAN,2,a.png,1,1,1\n", "line 11: generated is '2', not 0 or 1"),
        ("9,GAN,1,a.png,1,2,1\n", "line 11: 2 of 1 guesses"),
        ("9,GAN,1,a.png,1e9,2,1\n", "line 11: 2 of 1000000000 guesses"),
    ],
)
def test_bad_lines_of_images_give_one_line(by_image: Path, line: str, message: str):
    by_image.write_text(by_image.read_text() + line)
    with pytest.raises(PthetaError) as caught:
        read_public(by_image)
    assert message in str(caught.value)


def test_other_files_are_refused(tmp_path: Path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    assert not is_public(path)
    with pytest.raises(PthetaError, match="has neither the columns id, model"):
        read_public(path)
