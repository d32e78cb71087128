"""What Cortex costs, measured beside a bare proxy of the same stack. Linux only: figures come from /proc."""
