"""Write invented data of one kind into a file or folder, the same for the same seed.

python examples/data/make.py rentals data/rentals.csv        a table with gaps, categories, dates
python examples/data/make.py patients data/patients.parquet  a table in a Parquet or CSV file
python examples/data/make.py diabetes data/diabetes.csv      a real table with a number to predict
python examples/data/make.py digits data/digits.npy          digits to predict, as an array
python examples/data/make.py weather data/weather.csv        a table with several labels
python examples/data/make.py signs data/signs                images, one folder per class
python examples/data/make.py strokes data/strokes.npz        sequences of different lengths
python examples/data/make.py reviews data/reviews.csv        texts with a label
python examples/data/make.py visitors data/visitors.csv      a series with seasons, to forecast
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

Maker = Callable[[Path, int, np.random.Generator], None]


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=MAKERS)
    parser.add_argument("to", type=Path, help="the file, or folder, to write")
    parser.add_argument("--rows", type=int, help="how many; of images, of each class")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    make, n_rows = MAKERS[given.kind]
    given.to.parent.mkdir(parents=True, exist_ok=True)
    make(given.to, given.rows or n_rows, np.random.default_rng(given.seed))
    print(f"{given.kind} → {given.to}")


def rentals(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Bicycles rented per day and district; a thermometer that fails now and then."""
    dates = pd.Timestamp("2022-03-01") + pd.to_timedelta(np.arange(n_rows) // 3, unit="D")
    district = np.array(["harbour", "old town", "university"])[np.arange(n_rows) % 3]
    year = 2 * np.pi * (dates.day_of_year.to_numpy() - 110) / 365
    temperature = 11 + 10 * np.sin(year) + generator.normal(0, 4, n_rows)
    skies = {"clear": 0.4, "cloudy": 0.35, "rain": 0.2, "snow": 0.05}
    weather = generator.choice(list(skies), n_rows, p=list(skies.values()))
    wind = generator.gamma(3, 4, n_rows)
    usual = np.select([district == "harbour", district == "old town"], [120, 210], 160)
    weekend = np.where(district == "university", 0.6, 1.3) ** (dates.day_of_week >= 5)
    wet = pd.Series(weather).map({"clear": 1.1, "cloudy": 1.0, "rain": 0.55, "snow": 0.3})
    warm = 1 / (1 + np.exp(-(temperature - 8) / 5))
    mean = usual * weekend * wet * (0.3 + warm) * np.exp(-wind / 60)
    table = pd.DataFrame(
        {
            "date": dates.strftime("%Y-%m-%d"),
            "district": district,
            "weather": weather,
            "temperature": np.round(temperature, 1),
            "wind": np.round(wind, 1),
            "rentals": generator.poisson(mean),
        }
    )
    table.loc[generator.random(n_rows) < 0.12, "temperature"] = np.nan
    table.loc[generator.random(n_rows) < 0.05, "weather"] = np.nan
    table.to_csv(to, index=False)


def patients(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Who comes back to the hospital within a month; some values were never measured."""
    age = generator.integers(18, 95, n_rows)
    ward = generator.choice(["heart", "lung", "surgery"], n_rows)
    days = 1 + generator.poisson(4, n_rows)
    creatinine = generator.lognormal(0, 0.35, n_rows)
    odds = 0.08 * (age - 65) + 3.5 * (creatinine - 1.1) + 0.4 * (days - 5)
    odds += 1.3 * (ward == "heart")
    back = generator.random(n_rows) < 1 / (1 + np.exp(-odds))
    table = pd.DataFrame(
        {
            "admitted": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(generator.integers(0, 365 * 24, n_rows), unit="h"),
            "age": age,
            "ward": ward,
            "days": days,
            "creatinine": np.where(generator.random(n_rows) < 0.2, np.nan, creatinine.round(2)),
            "returned": np.where(back, "yes", "no"),
        }
    )
    if to.suffix == ".csv":
        table.to_csv(to, index=False)
    else:
        table.to_parquet(to, index=False)


def diabetes(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Patients, and how far their disease has come a year later: real ones (scikit-learn)."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes(as_frame=True, scaled=False).frame
    names = {"bp": "pressure", "target": "progression"}
    names |= {f"s{i + 1}": name for i, name in enumerate(("tc", "ldl", "hdl", "tch", "ltg", "glu"))}
    rows = generator.permutation(len(table))[:n_rows]
    table.iloc[rows].rename(columns=names).to_csv(to, index=False)


def digits(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Handwritten digits of 8 by 8 pixels, drawn at random (scikit-learn), without their labels."""
    from sklearn.datasets import load_digits

    images = load_digits().images
    np.save(to, images[generator.permutation(len(images))[:n_rows], None].astype("float32"))


def weather(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Days of a year: which of them were hot, wet, windy; none, one or all of it."""
    day = generator.integers(1, 366, n_rows)
    pressure = generator.normal(1014, 8, n_rows)
    change = generator.normal(0, 5, n_rows)
    wind_from = generator.choice(["north", "east", "south", "west"], n_rows)
    warmth = 13 - 10 * np.cos(2 * np.pi * (day - 20) / 365) + 4 * (wind_from == "south")
    warmth += generator.normal(0, 3, n_rows)
    rain = (1014 - pressure) / 6 + 1.2 * (wind_from == "west") + generator.normal(0, 0.7, n_rows)
    gusts = np.abs(change) / 4 + (1010 - pressure) / 12 + generator.normal(0, 0.5, n_rows)
    table = pd.DataFrame(
        {
            "day": day,
            "pressure": pressure.round(1),
            "change": np.where(generator.random(n_rows) < 0.1, np.nan, change.round(1)),
            "wind_from": wind_from,
            "hot": (warmth > 20).astype(int),
            "wet": (rain > 0.8).astype(int),
            "windy": (gusts > 1.2).astype(int),
        }
    )
    table.to_csv(to, index=False)


def signs(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Road signs in colour: a disc, a triangle or a square, anywhere, in any light."""
    for name, corners in (("disc", 60), ("square", 4), ("triangle", 3)):
        (to / name).mkdir(parents=True, exist_ok=True)
        for number in range(n_rows):
            ground, rim, inner = (tuple(generator.integers(0, 256, 3)) for _ in range(3))
            image = Image.new("RGB", (32, 32), ground)
            radius = generator.uniform(7, 12)
            place = (*generator.uniform(12, 20, 2), radius)
            turn = generator.uniform(-15, 15)
            pen = ImageDraw.Draw(image)
            pen.regular_polygon(place, corners, rotation=turn, fill=rim)
            pen.regular_polygon((*place[:2], 0.6 * radius), corners, rotation=turn, fill=inner)
            noisy = np.asarray(image) + generator.normal(0, 12, (32, 32, 3))
            pixels = np.clip(noisy, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(to / name / f"{number:03}.png")


def strokes(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Strokes of a pen, x and y at each moment: slow ones have more steps than quick ones."""
    lengths = generator.integers(20, 60, n_rows)
    x = np.zeros((n_rows, 60, 2))
    labels = generator.choice(["circle", "wave", "zigzag"], n_rows)
    for row, length, label in zip(x, lengths, labels, strict=True):
        time = np.linspace(0, 1, length)
        turns = 2 * np.pi * generator.uniform(0.9, 2.0) * time + generator.uniform(0, 2 * np.pi)
        shapes = {
            "circle": (np.cos(turns), np.sin(turns)),
            "wave": (3 * time, np.sin(2 * turns)),
            "zigzag": (3 * time, 2 / np.pi * np.arcsin(np.sin(2 * turns))),
        }
        track = np.stack(shapes[label], axis=1) * generator.uniform(0.5, 2)
        row[:length] = track + generator.normal(0, 0.05, (length, 2))
    np.savez(to, x=x, y=labels, lengths=lengths)


def reviews(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Short reviews with slips of the pen; "not" turns them round, so that no word tells alone."""
    good = ["friendly", "clean", "quiet", "wonderful", "fast", "fresh"]
    bad = ["rude", "dirty", "loud", "awful", "slow", "stale"]
    things = ["the room", "breakfast", "the staff", "the beach", "the food", "our guide"]
    openings = ["", "honestly, ", "to be fair, ", "after a long trip: ", "we stayed a night and "]
    endings = ["", ", as always", ", and we will tell everyone", ", to our surprise"]
    rows = []
    for _ in range(n_rows):
        is_good, is_turned = generator.random(2) < 0.5
        word = generator.choice(good if is_good != is_turned else bad)
        verb = "was not" if is_turned else "was"
        opening, thing, ending = map(generator.choice, (openings, things, endings))
        text = f"{opening}{thing} {verb} {word}{ending}."
        text = "".join(letter for letter in text if generator.random() > 0.03)
        rows.append((text[0].upper() + text[1:], "good" if is_good else "bad"))
    pd.DataFrame(rows, columns=["text", "verdict"]).to_csv(to, index=False)


def visitors(to: Path, n_rows: int, generator: np.random.Generator) -> None:
    """Visitors of a museum per day: quiet Mondays, busy Sundays, fewer when the sun shines."""
    day = np.arange(n_rows)
    week = np.array([0.3, 0.8, 0.9, 0.9, 1.1, 1.6, 1.8])[day % 7]
    year = 1 + 0.3 * np.sin(2 * np.pi * day / 365)
    sun = np.zeros(n_rows)  # hours; one day is much like the one before
    for today in range(1, n_rows):
        sun[today] = 0.8 * sun[today - 1] + generator.normal(0, 1)
    mean = 400 * week * year * np.exp(-0.12 * sun)
    table = pd.DataFrame(
        {
            "date": (pd.Timestamp("2021-01-04") + pd.to_timedelta(day, unit="D")).date,
            "sun": (6 + 2 * sun).clip(0, 14).round(1),
            "visitors": generator.poisson(mean),
        }
    )
    table.to_csv(to, index=False)


MAKERS: dict[str, tuple[Maker, int]] = {
    "rentals": (rentals, 1800),
    "patients": (patients, 1500),
    "diabetes": (diabetes, 442),
    "digits": (digits, 100),
    "weather": (weather, 1200),
    "signs": (signs, 100),
    "strokes": (strokes, 600),
    "reviews": (reviews, 1000),
    "visitors": (visitors, 1200),
}

if __name__ == "__main__":
    main()
