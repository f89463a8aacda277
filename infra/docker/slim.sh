#!/bin/sh
# slim.sh VENV: removes from an environment what no service needs at run time, and compiles the modules that are
# imported. Runs in the build stage of the Dockerfile, where gcc is installed, with binutils.
set -eu
venv=$1
cd "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# What is for installing, building against, type checking or testing the packages.
find . -name __pycache__ -prune -exec rm -rf {} +
find . -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.c' -o -name '*.h' \) -delete
rm -f "$venv"/bin/[Aa]ctivate*
# Lexers for showing source code in colours, except Python's; a word without a lexer is shown without.
find pygments/lexers -name '*.py' ! -name '__init__.py' ! -name '_mapping.py' ! -name 'python.py' -delete

# Symbols for debuggers.
find . -name '*.so' -type f -exec strip --strip-unneeded {} +

# Bytecode of what the services import when they start, and of our own modules, valid whatever the date of the files.
# Of everything, it would take twice as much.
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" - > /tmp/modules <<'PYTHON'
import importlib, sys
for module in ("gateway.app", "gateway.workers.supervisor", "translator.app", "session_state.app", "turngate.simulator.app"):
    importlib.import_module(module)
from turngate.cli.app import with_commands
from gateway.sockets.engines import ENGINES
with_commands(), ENGINES["picows"], ENGINES["websockets"]
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.startswith(sys.prefix) and file.endswith(".py"):
        print(file)
PYTHON
"$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash -i /tmp/modules \
    gateway translator session_state turngate
rm /tmp/modules
