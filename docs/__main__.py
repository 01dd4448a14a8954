"""Write the references, gather all pages and build the site: ``make docs``."""

import subprocess
import sys

from docs.site import ROOT, gather, write_references


def main() -> int:
    """Build build/site, and return the exit code."""
    for name in write_references():
        print(f"written: {name}")
    gather(ROOT / "build" / "pages")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code == 0:
        print("build/site/index.html; with search: python -m http.server -d build/site")
    return code


if __name__ == "__main__":
    sys.exit(main())
