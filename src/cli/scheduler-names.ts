/** Values of spec.schedulerName that Athanor's scheduler answers to on the laptop, where there is no other. */
export const SCHEDULER_NAMES = ['athanor', 'default-scheduler'] as const;
