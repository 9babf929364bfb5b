#!/usr/bin/env bash
# cluster.sh up|down DIR [NODES]: a throw-away SLURM on loopback, any user; no systemd, cgroups, database or GPU.
# Each node is a slurmd of this machine with two cores and two fake GPUs. Then: export SLURM_CONF=DIR/slurm.conf
# Partition `high` preempts `low`, with SIGUSR2 (submitit's signal); `shared` preempts nobody.
set -euo pipefail
act=$1 D=$(realpath -m "$2") N=${3:-2}; export SLURM_CONF=$D/slurm.conf
stop() {   # and wait for their end: the folder may then be removed, the ports be taken
  local pids=() p
  for p in "$D"/run/slurmd-*.pid "$D/run/slurmctld.pid" "$D/run/munged.pid"; do
    if [ -f "$p" ]; then pids+=("$(cat "$p")"); fi
  done
  if [ ${#pids[@]} = 0 ]; then return; fi
  kill "${pids[@]}" 2>/dev/null || true
  for _ in $(seq 100); do
    ps -o stat= -p "${pids[@]}" | grep -qv '^Z' || break
    sleep 0.1
  done
}
if [ "$act" = down ]; then
  scancel -u "$(id -un)" 2>/dev/null || true                      # the jobs first: slurmstepd outlives slurmd
  for _ in $(seq 200); do [ -z "$(squeue -h 2>/dev/null)" ] && break; sleep 0.1; done
  stop; exit 0
fi
H=$(hostname -s) U=$(id -un)
mkdir -p "$D"/{state,log,run,munge}; chmod 700 "$D/munge"
( umask 077; head -c 1024 /dev/urandom > "$D/munge/key" )
munged --force --key-file="$D/munge/key" --seed-file="$D/munge/seed" --socket="$D/run/munge.sock" \
       --pid-file="$D/run/munged.pid" --log-file="$D/log/munged.log"
cat > "$D/slurm.conf" <<C
ClusterName=ci
SlurmctldHost=$H(127.0.0.1)
SlurmctldPort=16817
SlurmUser=$U
SlurmdUser=$U
AuthType=auth/munge
# a requeued job waits until its credential has expired: two minutes, unless told otherwise
AuthInfo=socket=$D/run/munge.sock,cred_expire=5
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool-%n
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd-%n.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
${SLURM_EXTRA-SlurmctldParameters=preempt_send_user_signal}
SlurmdParameters=config_overrides
SlurmdTimeout=5
ReturnToService=2
KillWait=20
MinJobAge=300
MpiDefault=none
GresTypes=gpu
$(for i in $(seq "$N"); do
  echo "NodeName=n$i NodeHostname=$H NodeAddr=127.0.0.1 Port=$((17000 + i)) CPUs=2 RealMemory=2000 Gres=gpu:2"; done)
PartitionName=low  Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=30 State=UP
PartitionName=high Nodes=ALL MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
C
printf 'AutoDetect=off\nName=gpu File=/dev/null\nName=gpu File=/dev/zero\n' > "$D/gres.conf"  # it wants devices
slurmctld
for i in $(seq "$N"); do slurmd -N "n$i"; done
for _ in $(seq 100); do
  [ "$(sinfo -h -N -p low -o %t 2>/dev/null | grep -c '^idle$')" = "$N" ] && exit 0; sleep 0.1
done
echo "the cluster did not come up; see $D/log" >&2; stop; exit 1
