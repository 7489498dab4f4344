# What pages may use in their setup comments. Runs in a fresh folder; programs are in PATH.
set -eo pipefail
oracles=$MDGEN_ORACLES
source_dir=$MDGEN_SOURCE_DIR

# data/, train.csv and val.csv: small synthetic proteins.
make_dataset() { "$oracles" "$source_dir/tests/support/synthetic_dataset.py" . --proteins 3 --lengths 16,24,32 --frames 40 --replicas 3 "$@"; }

# protein.pdb and protein.xtc: adenylate kinase.
make_trajectory() {
  cp "$MDGEN_ADK_DIR/adk_closed.pdb" protein.pdb
  "$oracles" -W ignore -c 'import sys, mdtraj; mdtraj.load_dcd(sys.argv[1], top="protein.pdb").save_xtc("protein.xtc")' "$MDGEN_ADK_DIR/adk_dims.dcd"
}

# NAME STEPS: a spec of a tiny model on make_dataset's data.
make_spec() {
  cat >"$1" <<SPEC
name: ${3:-first}
work_dir: runs
workers: {min: 1, max: 2}
max_steps: $2
data: {train_split: train.csv, val_split: val.csv, data_dir: data, atlas: true, num_frames: 8, crop: 24, train_repeat: 8, num_workers: 1}
model: {sim_condition: true, prepend_ipa: true, embed_dim: 16, num_layers: 1, mha_heads: 2, ipa_heads: 2, ipa_head_dim: 8, ipa_qk: 4, ipa_v: 4}
optim: {lr: 1.0e-3, batch_size: 1}
checkpoint: {every_steps: 5}
loop: {validate: false}
threads_per_worker: 1
SPEC
}

# FILE PATTERN: waits for a line, at most a minute.
await_line() {
  local i
  for i in $(seq 600); do
    grep -qE -- "$2" "$1" 2>/dev/null && return
    sleep 0.1
  done
  echo "after 60 s $1 has no line $2:" >&2
  cat "$1" >&2
  return 1
}

# [N] [coordinator flags]: a coordinator and N workers on loopback; MDGEN_ADDRESS and MDGEN_HTTP say where.
make_pool() {
  local workers=${1:-1} slot
  shift || true
  mdgen-coordinator --listen 127.0.0.1:0 --http 127.0.0.1:0 --state_dir pool-state "$@" >pool.out 2>pool.err &
  await_line pool.out '^ready grpc='
  MDGEN_ADDRESS=$(sed -n 's/^ready grpc=\(\S*\) http=.*/\1/p' pool.out)
  MDGEN_HTTP=$(sed -n 's/^ready grpc=.* http=\(\S*\)$/\1/p' pool.out)
  export MDGEN_ADDRESS MDGEN_HTTP
  for ((slot = 0; slot < workers; slot++)); do
    mdgen-worker --device cpu >"worker-$slot.out" 2>"worker-$slot.err" &
    await_line "worker-$slot.out" '^ready worker='
  done
}
