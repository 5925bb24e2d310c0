# Sourced by scripts/up, test and check: a virtual environment with what they need, and nothing global.

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python is here, but without its venv module. On Debian and Ubuntu: sudo apt install python3-venv" >&2
  else
    echo "Python 3.11 or newer is needed (python.org/downloads). If it has another name: PYTHON=/path/to/python $0" >&2
  fi
  return 1
}

# prepare_environment EXTRAS: makes .venv and installs '.[EXTRAS]', only when something has changed.
prepare_environment() {
  local extras=$1 python state
  if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(find_python)
    echo "Making .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv
  fi
  state="$(cat setup.cfg pyproject.toml constraints.txt | cksum) $(.venv/bin/python --version)"
  if [ "$(cat ".venv/.installed-$extras" 2>/dev/null)" = "$state" ]; then
    return
  fi
  echo "Installing packages into .venv …"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$extras]"
  echo "$state" >".venv/.installed-$extras"
}
