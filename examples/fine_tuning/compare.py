"""What does a backbone gain where labels are few? Fine-tuning beside training from scratch.

python examples/fine_tuning/compare.py --images /usr/share/datasets/fashion-mnist

A network learns five classes of clothes from 1,000 images each. Two studies then search for the
best training for the other five, with 10 images each: one from its weights, one from scratch.
Seen: accuracy 0.86 on test rows with the backbone, 0.75 from scratch. Without --images,
scikit-learn's digits are taken.
"""

import argparse

from fine_tuning import Classifier, Half

from hpo import Study

OBJECTIVE = {"metric": "val_acc", "direction": "maximize"}
RATES = {"low": 3e-4, "high": 3e-2, "log": True}


def main() -> None:
    """Run three studies, the second with the weights of the first; print what each came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="a folder in MNIST's format, gzipped")
    parser.add_argument("--n-labels", type=int, default=10, help="of each class, to fine-tune with")
    parser.add_argument("--trials", type=int, default=20, help="of each of the two studies")
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()

    def study(name: str, half: str, n_labels: int, model: dict, trials: int, epochs: int) -> Study:
        space = {
            "data": {"folder": given.images, "half": half, "n_labels": n_labels},
            "model": model,
            "objective": OBJECTIVE,
            "trainer": {"max_epochs": epochs},
            "budget": {"trials": trials},
        }
        return Study(name, space=space, module=Classifier, data=Half)

    n_first = 100 if given.images is None else 1000
    first = study("pre-training", "first", n_first, {"lr": RATES}, 3, 5)
    backbone = first.folder.path / first.run().checkpoint["path"]
    tuned = {
        "backbone": str(backbone),
        "frozen": {"low": 0, "high": 3},
        "decay": {"low": 0.1, "high": 1.0, "log": True},
        "lr": RATES,
    }
    for name, model in (("fine-tuning", tuned), ("from-scratch", {"lr": RATES})):
        second = study(name, "second", given.n_labels, model, given.trials, given.epochs)
        best = second.run()
        tested = second.evaluate(test=True).value
        found = best.config["model"]
        print(f"{name}: accuracy {tested:.3f} on test, {best.metric['value']:.3f} on validation")
        print(f"  frozen {found['frozen']}, decay {found['decay']:.2g}, lr {found['lr']:.2g}")


if __name__ == "__main__":
    main()
