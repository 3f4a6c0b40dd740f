#!/bin/sh
# Stops the daemon when the package goes, and not when another version takes its place. The
# state stays: it is yours to remove.
set -e
case "${1:-}" in
  upgrade | 1 | deconfigure | failed-upgrade) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now terra-reconcile.service || true
fi
