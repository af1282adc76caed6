//! What the loop does with one command: resolves it, spares what wears out, writes, renews, and
//! looks until it is proven. Every way through here settles the job.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Loop, proof::Proof, too_slow, within};
use crate::{Driver, Job, Parameters, Purpose, ReadBack, UnitId, Wanted, Wear, WriteOutcome, Written};

/// Why what could still be done is not.
const STOPS: &str = "the gateway is stopping";

impl<D: Driver> Loop<D> {
    pub(super) async fn execute(&mut self, mut job: Job) {
        // Also when it was in flight at a crash: reading again is all that it ever does.
        if &*job.command == "refresh" {
            return self.refresh(job).await;
        }
        let ended = match job.purpose {
            // What it comes to is kept before anything is sent.
            Purpose::ReadBack if job.relative => {
                Some(not_sent("the gateway ended before it had read what to change"))
            }
            Purpose::ReadBack => {
                let reason = "the gateway ended while the command was in flight".to_owned();
                return self.prove_later(job, Proof::of_doubt, reason);
            }
            Purpose::Renew => return self.renew(job, Proof::of_renewal(Instant::now())).await,
            Purpose::Execute => match self.resolved(&mut job).await {
                None => self.look_before_wear(&job).await,
                ended => ended,
            },
        };
        match ended {
            Some(outcome) => self.put_down(job, outcome).await,
            None => self.write(job).await,
        }
    }

    async fn write(&mut self, mut job: Job) {
        let deadline = self.schedule.deadline;
        let written = timeout(deadline, self.driver.write(&job)).await.unwrap_or_else(|_| {
            Written::Ended(WriteOutcome::Unknown {
                reason: format!("no end of the write within {deadline:?}"),
            })
        });
        if wore(&job.wear, &written) {
            job.wears();
        }
        match written {
            Written::Sent { settle, .. } => {
                let proof = Proof::of_write(Instant::now(), settle, job.verify_for);
                self.settling.push((job, proof));
            }
            Written::Already { observed } => job.settle(already(observed)),
            Written::Ended(WriteOutcome::Unknown { reason }) => {
                self.prove_later(job, Proof::of_doubt, reason);
            }
            Written::Ended(outcome) => self.put_down(job, outcome).await,
        }
    }

    /// Settles a job that was not written, or whose write told its end. Where nothing was sent the
    /// unit may be away, which must be known first.
    async fn put_down(&mut self, job: Job, outcome: WriteOutcome) {
        if matches!(outcome, WriteOutcome::NotApplied { sent: false, .. }) {
            self.ask_again(&job.unit).await;
        }
        job.settle(outcome);
    }

    fn prove_later(&mut self, job: Job, proof: fn(Instant, String, Duration) -> Proof, reason: String) {
        let proof = proof(Instant::now(), reason, job.verify_for);
        self.settling.push((job, proof));
    }

    /// A relative command becomes the one that it comes to, durably; an outcome when it cannot.
    async fn resolved(&mut self, job: &mut Job) -> Option<WriteOutcome> {
        if !job.relative {
            return None;
        }
        match within(self.schedule.deadline, self.driver.resolve(job)).await {
            Ok((command, parameters)) => {
                // The commit may take as long as the disk wants.
                self.context.pulse.rest();
                let kept = job.resolve(command, parameters).await;
                self.context.pulse.within(self.schedule.deadline * super::CALLS);
                (!kept).then(|| not_sent("what it comes to could not be kept"))
            }
            Err(fault) => Some(not_sent(&fault)),
        }
    }

    /// What wears out is compared first: an outcome when it is so already, or may not be written.
    async fn look_before_wear(&mut self, job: &Job) -> Option<WriteOutcome> {
        if matches!(job.wear, Wear::None | Wear::Partly(_)) {
            return None;
        }
        match self.look(job).await {
            ReadBack::Applied { observed } => Some(already(observed)),
            ReadBack::Failed(fault) => Some(not_sent(&fault)),
            ReadBack::Different { .. } | ReadBack::Nothing => match &job.wear {
                Wear::Spent(reason) => Some(WriteOutcome::Rejected { reason: reason.clone() }),
                Wear::Allowed | Wear::None | Wear::Partly(_) => None,
            },
        }
    }

    /// Only what the device still shows is written again: what it dropped is told, once it was seen
    /// twice, for dongles answer old values.
    async fn renew(&mut self, job: Job, mut proof: Proof) {
        if self.context.shutdown.is_cancelled() {
            return job.settle(not_sent(STOPS));
        }
        match self.look(&job).await {
            ReadBack::Applied { .. } | ReadBack::Nothing => self.write(job).await,
            ReadBack::Failed(fault) => self.put_down(job, not_sent(&fault)).await,
            different @ ReadBack::Different { .. } => match proof.look(Instant::now(), different) {
                Some(outcome) => job.settle(outcome),
                None => self.settling.push((job, proof)),
            },
        }
    }

    async fn look(&mut self, job: &Job) -> ReadBack {
        let deadline = self.schedule.deadline;
        let seen = timeout(deadline, self.driver.read_back(job)).await;
        seen.unwrap_or_else(|_| ReadBack::Failed(too_slow(deadline)))
    }

    /// `refresh` is a read out of turn; its proof is the reading itself, once it is taken. When the
    /// stop comes before there is room for it, nothing was sent: it may be done after the next start.
    async fn refresh(&mut self, job: Job) {
        let read = within(self.schedule.deadline, self.driver.read(&job.unit, Wanted::All)).await;
        self.count_disbelieved();
        let outcome = match read {
            Ok(readings) => match self.publish(readings).await {
                Ok(true) => already(Parameters::default()),
                Ok(false) => return job.settle(not_sent(STOPS)),
                Err(closed) => return job.settle(not_sent(closed)),
            },
            Err(fault) => not_sent(fault),
        };
        self.put_down(job, outcome).await;
    }

    /// A command found no way to its unit. When the unit does not answer a probe either it is away,
    /// and that is told before the command's outcome, so that the command waits for its return.
    async fn ask_again(&mut self, unit: &UnitId) {
        let Some(at) = self.members.iter().position(|member| member.id == *unit) else { return };
        if self.members[at].health.needs_probe() {
            return;
        }
        match within(self.schedule.deadline, self.driver.probe(unit)).await {
            Ok(_) => self.link_answered(Instant::now()),
            Err(fault) => self.lost(at, &fault).await,
        }
    }

    /// Takes the look that is due, if one is.
    pub(super) async fn prove_one(&mut self) -> bool {
        let now = Instant::now();
        let Some(at) = self.settling.iter().position(|(_, proof)| proof.look_at <= now) else {
            return false;
        };
        let (job, mut proof) = self.settling.swap_remove(at);
        if proof.before_renewal {
            self.renew(job, proof).await;
            return true;
        }
        let seen = self.look(&job).await;
        match proof.look(Instant::now(), seen) {
            Some(outcome) => {
                if matches!(outcome, WriteOutcome::Done { .. }) {
                    self.read_soon(&job.unit);
                }
                job.settle(outcome);
            }
            None => self.settling.push((job, proof)),
        }
        true
    }

    /// What the command changed is to be seen soon.
    fn read_soon(&mut self, unit: &UnitId) {
        let member = self.members.iter_mut().find(|member| member.id == *unit);
        if let Some(member) = member {
            member.health.read_soon(Instant::now());
        }
    }
}

/// Did something of it wear, as far as one knows? Of a write that ended half way nobody can say what it reached.
fn wore(wear: &Wear, written: &Written) -> bool {
    match written {
        Written::Sent { wore, .. } => *wore,
        Written::Already { .. } => false,
        Written::Ended(outcome) => {
            let may_have_written = match outcome {
                WriteOutcome::NotApplied { sent, .. } => *sent,
                WriteOutcome::Mismatch { .. } | WriteOutcome::Unknown { .. } => true,
                WriteOutcome::Done { written, .. } => *written,
                WriteOutcome::Rejected { .. } => false,
            };
            *wear == Wear::Partly(None) && may_have_written
        }
    }
}

fn already(observed: Parameters) -> WriteOutcome {
    WriteOutcome::Done { observed, verified: true, written: false }
}

fn not_sent(why: impl std::fmt::Display) -> WriteOutcome {
    WriteOutcome::NotApplied { reason: why.to_string(), sent: false }
}
