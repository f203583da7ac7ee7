"""Translate network.pyx once, and write a C file for each of the modules made of it.

Called by CMakeLists.txt: ``specialise.py CYTHON_SOURCE OUTPUT_DIRECTORY NAME...``. The modules
differ in their names alone; the compiler's flags choose the instruction set and the element type.
"""

import subprocess
import sys
from pathlib import Path

source, directory, *names = sys.argv[1:]
# Of no other identifier's form, so that replacing it touches nothing else.
PLACE = "network_isa_type"
translated = Path(directory, f"{PLACE}.c")
command = [sys.executable, "-m", "cython", "-3", "--module-name", f"fastmlp._kernels.{PLACE}"]
if done := subprocess.run([*command, source, "-o", translated]).returncode:
    sys.exit(done)
text = translated.read_text("utf-8")
for name in names:
    Path(directory, f"{name}.c").write_text(text.replace(PLACE, name), "utf-8")
