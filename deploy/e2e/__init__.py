"""The end-to-end test of the deployment: ``make e2e``.

It deploys Driftline with the playbook, over ssh, to a machine on which nothing is installed, and then treats it badly.
That machine is a container with systemd and sshd, in a Docker engine started for the test; base images are made from
Debian packages under the real images' names, so that no registry is needed. `docs/deploy.md` says how it works.
"""
