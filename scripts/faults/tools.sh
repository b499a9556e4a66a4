#!/bin/sh
# What `npm run faults` needs on Debian: ip (iproute2) for namespaces and cables, nft for lost packets. As root; does nothing where both are there.
set -eu
command -v ip >/dev/null && command -v nft >/dev/null && exit 0
apt-get update -qq
apt-get install -y -qq iproute2 nftables
