#!/bin/sh
# Run a command with a display: the one there is, or a virtual one. Installs what that needs on Debian as root,
# and says exactly what is missing elsewhere.
set -eu

needed="xvfb xauth libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 \
libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libdbus-1-3 libfontconfig1"

if [ "$(uname -s)" != "Linux" ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi
if command -v dpkg-query >/dev/null; then
    missing=""
    for package in $needed; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
    done
    if [ -n "$missing" ] && [ "$(id -u)" = 0 ]; then
        if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            $missing >/dev/null; then
            missing=""
        fi
    fi
    if [ -n "$missing" ]; then
        echo "The windows of the tests need these packages: sudo apt-get install$missing" >&2
    fi
fi
if ! command -v xvfb-run >/dev/null; then
    echo "There is no display and no xvfb-run: tests that open a window are skipped. Install xvfb to run them." >&2
    exec "$@"
fi
exec xvfb-run --auto-servernum --server-args "-screen 0 1600x1100x24" "$@"
