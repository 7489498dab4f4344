# What the examples of mdgenctl's reference speak of: jobs atlas-1 and atlas-2 that have ended, their run folders, a spec
# job.yaml, two splits, data/, a checkpoint of the reference.
make_dataset
mkdir -p splits .local/share/bash-completion/completions .config/fish/completions
cp train.csv atlas_train.csv
cp train.csv splits/atlas_train.csv
cp val.csv splits/atlas_val.csv
make_spec job.yaml 4
make_pool 1
mdgenctl submit -f job.yaml --set name=atlas-1 --set optim.ema=true --follow >/dev/null
mdgenctl submit -f job.yaml --set name=atlas-2 --follow >/dev/null
cp -r runs/atlas-1 runs/a
mdgenctl checkpoints export runs/atlas-1 --out forward_sim.ckpt >/dev/null

# LINE COMMAND: runs it for at most ten seconds, with a spec of a name that is not used yet.
example() {
  make_spec job.yaml 4 "example-$1"
  if [[ $2 == *" init "* ]]; then rm job.yaml; fi
  timeout --kill-after=5 10 bash -c "fpath=('$PWD' '$PWD'); $2" >"example-$1.out" 2>&1 </dev/null
}
