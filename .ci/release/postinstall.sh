#!/bin/sh
# Makes the user that the unit runs as, where systemd is. It starts nothing: daemon.yaml is
# yours to write first.
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
  systemd-sysusers terra-reconcile.conf
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  # A daemon that runs goes on with the new version.
  systemctl try-restart terra-reconcile.service || true
fi
