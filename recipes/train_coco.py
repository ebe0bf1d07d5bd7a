"""Train, measure and export the patch classifier on MS COCO, from one positive label an image.

    python recipes/train_coco.py --data /path/to/coco    # annotations, train2014 and val2014
    python recipes/train_coco.py --data coco-tfds        # the same data by TFDS

It trains on train and measures on val, both without the images that have no object: 82,081 and
40,137 images of 2014, as in the paper, or of 2017 where the folder has more of that year.

`--recipe paper` is section 4.1.2 of Jouanneau et al. (VISAPP 2023), as for VOC; the paper reports
a test mAP of 63.2 with `--loss wn`, 62.6 with `an`, 61.4 with `epr`, 33.3 with `role` and 65.8
with `bce`, which sees all labels. It is 14 times the work of VOC, weeks on 2 cores. The resized
pictures would take 150 GB, so they are decoded anew in every epoch.

All else is as with train_voc.py, what the run leaves, too. Kill it when you like and start it
again with `--resume`.
"""

import argparse
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import data_set_training
import keras


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH|coco-tfds",
        help="a folder in which the archives of images.cocodataset.org were unpacked",
    )
    data_set_training.add_options(parser, "default: paper")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return data_set_training.execute("train_coco", parse_arguments(arguments))


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    sys.exit(main())
