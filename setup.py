"""Installs `keras_patchpu`. Tool settings are in pyproject.toml."""

import pathlib

import setuptools

setuptools.setup(
    name="keras_patchpu",
    version="0.1.0",
    description="Multi-label classification from single positive annotations, in Keras 3",
    long_description=pathlib.Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    packages=setuptools.find_packages(include=["keras_patchpu", "keras_patchpu.*"]),
    package_data={"keras_patchpu.reporting": ["templates/*"]},
    python_requires=">=3.11",
    # From a version without a hole that we know of, below the next that may break what it likes.
    install_requires=[
        # MultiOptimizer, which gives ROLE's estimates their learning rate, came with Keras 3.15.
        "keras>=3.15,<4",
        "tensorflow>=2.21,<3",
        "grpcio>=1.66,<2",
        "h5py>=3.11,<4",
        "jinja2>=3.1.6,<4",
        "matplotlib>=3.8,<4",
        "numpy>=1.26,<3",
        "pillow>=11.3,<14",
        "requests>=2.32.4,<3",
        "scikit-learn>=1.5,<2",
        "scipy>=1.11,<2",
        "tqdm>=4.66.3,<5",
    ],
    extras_require={
        # The CUDA libraries, which are large, for machines with a GPU.
        "cuda": ["tensorflow[and-cuda]>=2.21,<3"],
        # TFDS 4.9 needs importlib_resources, which it names for old Pythons only.
        "data": ["tensorflow-datasets>=4.9.10,<5", "importlib_resources"],
        # The formats of TF Serving: warm-up requests, and the client's gRPC.
        "serving": ["tensorflow-serving-api>=2.20,<3"],
        # What benchmarks/serving.py compares with.
        "benchmarks": ["openvino>=2026.4", "torch>=2.13,<3"],
        "test": [
            "hypothesis>=6.100,<7",
            "importlib_resources",
            # Run the notebook of examples/.
            "ipykernel>=7,<8",
            # Another backend of Keras, which the tests marked "backends" run on.
            "jax>=0.8,<1",
            "nbclient>=0.11,<1",
            "nbformat>=5.10,<6",
            # Drives the Chromium of the system, where there is one, to look at the reports.
            "playwright>=1.50,<2",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            # Reads examples/kubernetes.yaml.
            "pyyaml>=6,<7",
            "ruff>=0.6,<1",
            "tensorboard>=2.20,<3",
            "tensorflow-datasets>=4.9.10,<5",
            "tensorflow-serving-api>=2.20,<3",
        ],
    },
)
