#!/bin/bash
# Runs the proof machinery at length and writes its figures into bench/results/reliability.md:
# SEEDS simulated worlds in two processes, and beside them ROUNDS times CYCLES of
# kill -9, then every mutant. Half an hour on two cores. Exits 1 if anything failed.
# The output of each part stays in LOGS.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
SEEDS=${SEEDS:-10000} CYCLES=${CYCLES:-50} ROUNDS=${ROUNDS:-10} MUTANTS=${MUTANTS:-.}
LOGS=${LOGS:-$(mktemp -d)} PAGE=bench/results/reliability.md GO=${GO:-go}
began=$(date -u +%s) failed=0
echo "output in $LOGS"

half=$((SEEDS / 2))
$GO test ./bench/sim -count=1 -timeout=0 -v -seeds=$half -seed=1 >"$LOGS/sim1" 2>&1 & sim1=$!
$GO test ./bench/sim -count=1 -timeout=0 -v -seeds=$((SEEDS - half)) -seed=100001 >"$LOGS/sim2" 2>&1 & sim2=$!
for ((i = 1; i <= ROUNDS; i++)); do
  $GO test ./bench/crash -count=1 -timeout=0 -v -cycles="$CYCLES" >"$LOGS/crash$i" 2>&1 || failed=1
done
$GO test ./bench/mutants -count=1 -timeout=0 -v -mutants.all -run "TestMutants/$MUTANTS" >"$LOGS/mutants" 2>&1 || failed=1
wait $sim1 || failed=1
wait $sim2 || failed=1
took=$(($(date -u +%s) - began))

# sim KIND...: how often these happened, in both processes together; figures apart by "; ".
sim() {
  local out="" kind
  for kind in "$@"; do
    out+="; $(awk -v k="$kind" '{n=$1; sub(/^ *[0-9]+ /, "")} $0 == k {s += n} END {printf "%.0f\n", s}' "$LOGS"/sim1 "$LOGS"/sim2)"
  done
  echo "${out#; }" | sed -E ':a; s/([0-9])([0-9]{3})($|[^0-9])/\1,\2\3/; ta'
}
# crash PATTERN: the sum of the numbers before a word of the summaries.
crash() { grep -hoE "[0-9]+ $1" "$LOGS"/crash* | awk '{s += $1} END {print s + 0}'; }

figures() {
  local hours bad
  hours=$(grep -hoE '[0-9.]+ simulated hours' "$LOGS"/sim1 "$LOGS"/sim2 | awk '{s += $1} END {printf "%.1f", s}')
  bad=$(grep -hcE -- '--- FAIL: TestSeeds/' "$LOGS"/sim1 "$LOGS"/sim2 | awk '{s += $1} END {print s + 0}')
  echo "Measured $(date -u -d @$began +%F), $(date -u -d @$began +%H:%M) to $(date -u +%H:%M) UTC ($((took / 60)) minutes), at commit \`$(git rev-parse --short HEAD)\`, by \`bench/reliability.sh\` on $(nproc) cores with $($GO version | cut -d' ' -f3)."
  cat <<EOF

| what | command | figure |
|---|---|---|
| seeds simulated, of which failed | \`make sim SEEDS=$half\`, and $((SEEDS - half)) more from seed 100001 | $SEEDS, $bad |
| simulated hours; leads checked; events | the same, last lines | $hours; $(sim "leads checked" events) |
| crash points by what was kept of the unsynced data: none, half, all | the same | $(sim "crash point, 0% of unsynced data kept" "crash point, 50% of unsynced data kept" "crash point, 100% of unsynced data kept") |
| power lost at a disk write; at a network write; at a time; again during the start | the same | $(sim "power lost at a disk write" "power lost at a network write" "power lost at a time" "power lost during a start") |
| disk errors met at a write; at a sync | the same | $(sim "disk error at a write" "disk error at a sync") |
| connections reset; dials refused; dials hung; kept connections closed; callers cut | the same | $(sim "connection reset" "dial refused" "dial hung" "kept connection closed" "caller cut") |
| TLS closed before, torn in, stalled in, closed after the handshake; forged certificates | the same | $(sim "TLS closed before the handshake" "TLS torn in the handshake" "TLS stalled in the handshake" "TLS closed after the handshake" "TLS with a forged certificate") |
| clock set forward; back; while down; by more than an hour | the same | $(sim "clock set forward" "clock set back" "clock set while down" "clock set by more than an hour") |
| callbacks; wrong ones; of another buyer; contradicted verdicts | the same | $(sim callback "wrong callback" "callback of another buyer" contradicted) |
| settled by a buyer; status URL; re-post; deadline; operator; a buyer's list: sold | the same | $(sim "settled sold by buyer" "settled sold by status_url" "settled sold by repost" "settled sold by deadline" "settled sold by operator" "settled sold by reconciliation") |
| the same: unsold | the same | $(sim "settled unsold by buyer" "settled unsold by status_url" "settled unsold by repost" "settled unsold by deadline" "settled unsold by operator" "settled unsold by reconciliation") |
| repeated requests; reloads; broken reloads; clean restarts | the same | $(sim "repeated request" reload "broken reload" "clean restart") |
| answers held against their deadline; bytes searched for personal values, of which found | the same | $(sim "answers timed" "bytes searched for personal values"), 0 unless a seed failed |
| \`kill -9\` of the real binary under load, books reconciled | \`make crash CYCLES=$CYCLES\`, $ROUNDS times | $(crash "cycles of seed") cycles, $(crash "leads, [0-9]+ told") leads, $(crash "sales,") sales, $(crash disagreements) disagreements, $(crash "faults") faults |
| bugs put in on purpose, caught | \`make mutants\` | $(grep -hoE '[0-9]+ of [0-9]+ mutants caught' "$LOGS/mutants" | sed 's/ mutants caught//') |
EOF
}
figures >"$LOGS/figures"
awk -v from="$LOGS/figures" '/^<!-- figures -->$/ {print; while ((getline line < from) > 0) print line; skip = 1}
  /^<!-- end of figures -->$/ {skip = 0} !skip && !/^<!-- figures -->$/' "$PAGE" >"$LOGS/page" && cp "$LOGS/page" "$PAGE"
cat "$LOGS/figures"
[ $failed = 0 ] || { echo "something failed: see $LOGS"; grep -l -- '--- FAIL' "$LOGS"/*; }
exit $failed
