#!/bin/sh
# Install the servers and judges that tests and demos talk to: system.sh [all | orthanc]
set -eu
case "${1:-all}" in
orthanc) exec "$(dirname "$0")/apt.sh" orthanc ;;
all) exec "$(dirname "$0")/apt.sh" dcmtk dicom3tools dcm2niix orthanc orthanc-dicomweb orthanc-webviewer \
    chromium redis-server postgresql rsyslog rsyslog-openssl prometheus libxml2-utils strace faketime ;;
*) echo "usage: $0 [all | orthanc]" >&2; exit 2 ;;
esac
