#!/usr/bin/env bash
# Starts a Slurm of one node (this machine) with accounting, as root, without systemd and cgroups, its state in DIR.
# Usage: start.sh DIR, then SLURM_CONF=DIR/slurm.conf; stop.sh DIR ends it. Packages (Debian): see .ci/slurm.
set -euo pipefail
dir=$1
host=$(hostname -s) cpus=$(getconf _NPROCESSORS_ONLN)
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
mkdir -p "$dir"/{state,spool,log,db}
mkdir -m 700 -p "$dir/munge"
chmod 755 "$dir"
(umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
cat >"$dir/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its old credential has expired, by default two minutes.
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=26817
SlurmdPort=26818
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=26819
AccountingStoragePass=$dir/munge/socket
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
DefMemPerCPU=1024
KillWait=5
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=$memory
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=high Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
END
(umask 077 && cat >"$dir/slurmdbd.conf" <<END)
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=26819
SlurmUser=root
LogFile=$dir/log/slurmdbd
PidFile=$dir/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
END

soon() { for _ in $(seq 100); do "$@" >"$dir/log/last" 2>&1 && return; sleep 0.2; done; cat "$dir/log/last" >&2; return 1; }
export SLURM_CONF=$dir/slurm.conf
munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge.pid" \
  --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"
mariadb-install-db --no-defaults --user=root --datadir="$dir/db" --auth-root-authentication-method=socket \
  >"$dir/log/mariadb-install" 2>&1
mariadbd --no-defaults --user=root --datadir="$dir/db" --socket="$dir/db.socket" --pid-file="$dir/mariadbd.pid" \
  --skip-networking --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 >"$dir/log/mariadbd" 2>&1 &
soon mariadb --no-defaults -S "$dir/db.socket" -e "select 1"
MYSQL_UNIX_PORT=$dir/db.socket slurmdbd
soon timeout 5 sacctmgr -n list cluster
timeout 20 sacctmgr -i add cluster test >"$dir/log/cluster" 2>&1 || true
slurmctld -c
slurmd
idle() { [ "$(sinfo -h -p low -o %T)" = idle ]; }
soon idle
