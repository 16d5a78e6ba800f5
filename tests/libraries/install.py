"""Install libraries from their registries: `python install.py FOLDER [LIBRARY ...]` copies the services there.

`requirements-X.txt` goes into `lib-X`, `package-X.json` into `lib-X/node_modules`; a program in Go is built. Of what
can't be installed a line says why, and the exit code is 1.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 600


def install(library: str, into: Path) -> str:
    """Copy a service into a folder and install what it needs; give why it could not be, or nothing."""
    folder = into / library
    shutil.copytree(HERE / library, folder, dirs_exist_ok=True)
    for shared in ("http_service.py", "node_service.js"):
        shutil.copy(HERE / shared, into / shared)
    commands: list[list[str]] = []
    for manifest in sorted(folder.glob("requirements*.txt")):
        place = f"lib{manifest.stem.removeprefix('requirements')}"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore"]
        commands.append([*pip, "--target", place, "-r", manifest.name])
    for manifest in sorted(folder.glob("package*.json")):
        place = folder / f"lib{manifest.stem.removeprefix('package')}"
        place.mkdir(exist_ok=True)
        shutil.copy(manifest, place / "package.json")
        commands.append(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", place.name])
    if (folder / "go.mod").exists():
        shutil.copy(HERE / "http_service.go", folder)
        commands += [["go", "mod", "tidy"], ["go", "build", "-o", "service", "."]]
    for command in commands:
        if command[0] != sys.executable and shutil.which(command[0]) is None:
            return f"{command[0]} is not installed"
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"{command[0]} took longer than {SECONDS} s"
        if done.returncode:
            return ((done.stderr or done.stdout).strip().splitlines() or [f"{command[0]} failed"])[-1]
    return ""


if __name__ == "__main__":
    names = sys.argv[2:] or sorted(path.parent.name for path in HERE.glob("*/scenario.yaml"))
    failed = {name: why for name in names if (why := install(name, Path(sys.argv[1])))}
    sys.exit("\n".join(f"{name}: {why}" for name, why in failed.items()))
