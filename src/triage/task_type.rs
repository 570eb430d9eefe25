//! The kind of work an issue asks for.

use super::policy::Policy;
use super::signals::Facts;
use crate::dispatch::TaskType;

/// The first entry of the policy with a word in the issue; everyday coding when there is none.
pub(super) fn of(policy: &Policy, facts: &Facts) -> TaskType {
    facts.task.map_or(TaskType::RoutineCoding, |place| policy.task_types[place].task)
}
