"""PICCL as a package: the launcher installs it, and so does every worker."""

from pathlib import Path

from setuptools import find_packages, setup


def _requirements(name: str) -> list[str]:
    lines = (Path(__file__).parent / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="piccl",
    version="0.1.0",
    description="Finds the photos that nobody needs to keep",
    long_description=(Path(__file__).parent / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.12",
    packages=find_packages(
        include=["pipeline*", "console*", "trash*", "transforms*", "models*", "store*"],
    ),
    package_data={
        "console": ["*.css", "*.js", "templates/*.html"],
        "models": ["held_out_scores/*.csv"],
        "models.darkness": ["dark.keras", "held_out.csv", "MODEL_CARD.md"],
        "pipeline.evaluation": ["page.html"],
        "store": ["schema.sql"],
    },
    install_requires=_requirements("requirements.txt"),
    extras_require={"dev": _requirements("requirements-dev.txt")},
    entry_points={"console_scripts": ["piccl = pipeline.__main__:entry"]},
)
