# What the examples of mdgenctl's reference speak of: a job atlas-1 that has ended, a spec job.yaml, two splits, data/.
make_dataset
mkdir -p splits .local/share/bash-completion/completions .config/fish/completions
cp train.csv atlas_train.csv
cp train.csv splits/atlas_train.csv
cp val.csv splits/atlas_val.csv
make_spec job.yaml 4
make_pool 1
mdgenctl submit -f job.yaml --set name=atlas-1 --follow >/dev/null
fpath=("$PWD" "$PWD")

# LINE COMMAND: runs it for at most ten seconds, each in the shell's own words.
example() {
  timeout --kill-after=5 10 bash -c "fpath=('$PWD' '$PWD'); $2" >"example-$1.out" 2>&1 </dev/null
}
