#!/bin/bash
# Several nodes train one model: sbatch examples/slurm.sh, in a clone that all nodes see.
# docs/several_hosts.md says more. Not run on a cluster.
#SBATCH --job-name=keras_patchpu
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.out

set -euo pipefail

export KERAS_BACKEND=jax
coordinator="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):$((10000 + SLURM_JOB_ID % 50000))"
export coordinator

# With --kill-on-bad-exit=0 the others end by themselves, and say why. A batch of 64 images is 16 a
# node. The job may be requeued, and then goes on from its last checkpoint.
srun --kill-on-bad-exit=0 --label bash -c 'exec .venv/bin/python recipes/train_voc.py \
    --data data/VOCdevkit --loss wn --batch-size 64 --out "runs/voc-$SLURM_JOB_ID" --resume \
    --coordinator "$coordinator" --num-hosts "$SLURM_NNODES" --host-id "$SLURM_PROCID"'
