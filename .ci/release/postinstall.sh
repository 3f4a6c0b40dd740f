#!/bin/sh
# Makes the user that the unit runs as, where systemd is, and the folder of the state, as the
# unit would at its first start: so `reconcile doctor` finds it before. It starts nothing:
# daemon.yaml is yours to write first.
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
  systemd-sysusers terra-reconcile.conf
  mkdir -p -m 0700 /var/lib/terra-reconcile
  chown terra-reconcile:terra-reconcile /var/lib/terra-reconcile
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  # A daemon that runs goes on with the new version.
  systemctl try-restart terra-reconcile.service || true
fi
