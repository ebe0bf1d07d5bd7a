"""Train, measure and export the patch classifier on Pascal VOC, from one positive label an image.

    python recipes/train_voc.py --data /path/to/VOCdevkit        # VOC 2012, the paper's recipe
    python recipes/train_voc.py --data tfds                      # the same data by TFDS
    python recipes/train_voc.py --data digits                    # embedded data, minutes on a CPU

`--recipe paper` is section 4.1.2 of Jouanneau et al. (VISAPP 2023): 640 pixels, 130 patches, 25
epochs of LAMB. The paper reports a test mAP of 60.4 with `--loss wn`, 60.0 with `an`, 58.8 with
`epr`, 49.7 with `role` and 61.6 with `bce`, which sees all labels. It takes much memory and, on
2 cores, days: there, try `--recipe small`.

The run's directory gets config.json, observed.csv, history.csv, metrics.json, model.keras, a
checkpoint, report.html, with wn weak_negatives.json and, if TensorBoard is installed, its logs
(scalars, pictures with maps, precision-recall curves); saved_models/<name of the run>/1 gets a
SavedModel for TF Serving. Kill it when you like and start it again with `--resume`.
"""

import argparse
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import data_set_training
import keras
import shared_options


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared_options.add_data_option(parser, "a folder with VOC, COCO, NUS-WIDE or CUB as unpacked; ")
    data_set_training.add_options(parser, "default: digits for that data, else paper")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return data_set_training.execute("train_voc", parse_arguments(arguments))


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    sys.exit(main())
