//! What Hadoop's exceptions mean. By both protocols they come as the name of a Java class and a message.

use hdfs_native::HdfsError;

use crate::fault::Fault;

/// The fault of an error that the client gave when it asked the NameNode.
pub(super) fn fault(error: HdfsError) -> Fault {
    let text = line(&error.to_string());
    match error {
        HdfsError::FileNotFound(_) => Fault::Missing,
        HdfsError::AlreadyExists(_) => Fault::Taken,
        HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => exception(&class, &message),
        // With all that is known of them.
        HdfsError::DataTransferError(reason) if reason.starts_with("All DataNodes failed") => {
            Fault::Unreachable("none of the DataNodes that have a part of it answers".to_owned())
        }
        HdfsError::IOError(_)
        | HdfsError::DataTransferError(_)
        | HdfsError::OperationFailed(_)
        | HdfsError::ChecksumError
        | HdfsError::BlocksNotFound(_)
        | HdfsError::InvalidRPCResponse(_) => Fault::Unreachable(text),
        HdfsError::SASLError(_) | HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism => {
            Fault::NoCredentials(format!("{text}; get a Kerberos ticket by kinit"))
        }
        _ => Fault::Other(text),
    }
}

/// The same while bytes are on their way: what was there is not any more.
pub(super) fn of_data(error: HdfsError) -> Fault {
    match error {
        HdfsError::RPCError(class, _) if simple(&class) == "LeaseExpiredException" => Fault::Missing,
        error => fault(error),
    }
}

/// The fault that an exception of the NameNode means.
pub(crate) fn exception(class: &str, message: &str) -> Fault {
    let told = line(message);
    match simple(class) {
        // A DataNode repeats what the NameNode told it, without the name.
        "RemoteException" if told.starts_with("Permission denied") => Fault::Refused(told),
        _ if class.ends_with("SafeModeException") || told.contains("Name node is in safe mode") => Fault::Unreachable(
            "the NameNode is in safe mode, in which nothing can be written: try again when it has left it".to_owned(),
        ),
        "FileNotFoundException" => Fault::Missing,
        "FileAlreadyExistsException" | "AlreadyBeingCreatedException" | "PathIsNotEmptyDirectoryException" => {
            Fault::Taken
        }
        // Hadoop 3 says of a file in the middle of a path that we may not look into it.
        "ParentNotDirectoryException" => Fault::NotADirectory,
        "AccessControlException" if told.contains("is not a directory") => Fault::NotADirectory,
        "AccessControlException" | "AuthorizationException" | "SecurityException" | "AuthenticationException" => {
            Fault::Refused(told)
        }
        "InvalidToken" | "SecretManager$InvalidToken" => Fault::Expired(told),
        "StandbyException" | "RetriableException" | "NotReplicatedYetException" => Fault::Unreachable(told),
        _ if told.contains("could only be replicated to 0 nodes") || told.contains("could only be written to 0 of") => {
            Fault::Unreachable("none of its DataNodes takes a new block: they are full, or not there".to_owned())
        }
        name => Fault::Other(format!("it answered {name}: {told}")),
    }
}

/// Of a class its own name.
fn simple(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// One line without control characters, and not endless: behind it come stack traces.
pub(crate) fn line(message: &str) -> String {
    let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|character| !character.is_control()).take(300).collect();
    line.trim().trim_end_matches('.').to_owned()
}
