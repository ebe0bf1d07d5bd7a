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
    install_requires=[
        # MultiOptimizer, which gives ROLE's estimates their learning rate, came with Keras 3.15.
        "keras>=3.15,<4",
        "tensorflow>=2.21,<3",
        "grpcio>=1.60",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10.1",
        "requests>=2.31",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        "tqdm>=4.66",
    ],
    extras_require={
        # 3 GB of CUDA libraries, for machines with a GPU.
        "cuda": ["tensorflow[and-cuda]>=2.21,<3"],
        # TFDS 4.9 needs importlib_resources, which it names for old Pythons only.
        "data": ["tensorflow-datasets>=4.9.10", "importlib_resources"],
        # The formats of TF Serving: warm-up requests, and the client's gRPC.
        "serving": ["tensorflow-serving-api>=2.20"],
        # What benchmarks/serving.py compares with.
        "benchmarks": ["openvino>=2026.4", "torch>=2.13"],
        "test": [
            "hypothesis>=6.100",
            "importlib_resources",
            # Drives the Chromium of the system, where there is one, to look at the reports.
            "playwright>=1.50",
            "pytest>=8",
            "ruff>=0.6",
            "tensorboard>=2.20",
            "tensorflow-datasets>=4.9.10",
            "tensorflow-serving-api>=2.20",
        ],
    },
)
